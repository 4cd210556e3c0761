import createScatterplot, { checkSupport } from 'regl-scatterplot';

import { drawn, place } from './labels.js';
import { overlay } from './overlay.js';
import { carry, store } from './store.js';

const HIDDEN = 255; // category of a point that a filter leaves out
const views = new Map(); // map → camera, kept while the page stays
const isolations = new Map(); // points → isolated categories, likewise
const instances = new WeakMap();

const STYLE = `
:host, .map { display: block; }
.map { position: relative; font-family: inherit; color: var(--text); }
.stage { position: relative; overflow: hidden; border: 1px solid var(--grid); border-radius: 6px; outline-offset: 2px; }
.stage > * { position: absolute; inset: 0; }
.stage svg, .stage .names, .stage .shade { pointer-events: none; width: 100%; height: 100%; }
.stage .shade { width: auto; height: auto; inset: auto; image-rendering: auto; }
.stage svg .mark { pointer-events: auto; }
.stage .tip { inset: auto; max-width: 340px; padding: 4px 8px; border-radius: 4px; background: var(--back); color: var(--text);
  border: 1px solid var(--grid); font-size: 13px; pointer-events: none; display: none; overflow-wrap: anywhere; }
.name { position: absolute; transform: translate(-50%, -50%); text-align: center; white-space: pre; line-height: 1.2; font-weight: 600;
  color: var(--text); text-shadow: 0 0 3px var(--back), 0 0 3px var(--back), 0 0 6px var(--back), 0 0 6px var(--back); }
.bar, .legend { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; margin: 4px 0; }
button { font: inherit; font-size: 13px; color: var(--text); background: transparent; border: 1px solid var(--grid); border-radius: 4px;
  padding: 2px 8px; cursor: pointer; }
.bar button[aria-pressed="true"], .isolated button[aria-pressed="true"] { border-color: var(--text); font-weight: 600; }
.legend { max-height: 118px; overflow-y: auto; }
.legend.isolated button[aria-pressed="false"] { opacity: 0.45; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 5px; vertical-align: baseline; }
.said { font-size: 13px; color: var(--text); margin-left: auto; }
`;

const scale = (range) => {
  let domain = [-1, 1];
  let across = range;
  const at = (value) => across[0] + ((value - domain[0]) / (domain[1] - domain[0])) * (across[1] - across[0]);
  at.domain = (given) => (given ? ((domain = [...given]), at) : domain);
  at.range = (given) => (given ? ((across = [...given]), at) : across);
  at.invert = (pixel) => domain[0] + ((pixel - across[0]) / (across[1] - across[0])) * (domain[1] - domain[0]);
  return at;
};

const element = (name, className, text) => {
  const created = document.createElement(name);
  created.className = className;
  if (text) created.textContent = text;
  return created;
};

const LOOK = (n) => (n < 2_000 ? [7, 0.85] : n < 12_000 ? [5, 0.75] : n < 60_000 ? [3.5, 0.6] : n < 250_000 ? [2, 0.5] : [1.2, 0.4]);

const create = (root) => {
  const style = document.createElement('style');
  style.textContent = STYLE;
  const map = element('div', 'map');
  const bar = element('div', 'bar');
  const stage = element('div', 'stage');
  const shade = element('canvas', 'shade');
  const canvas = element('canvas', 'points');
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const names = element('div', 'names');
  const tip = element('div', 'tip');
  const legend = element('div', 'legend');
  const said = element('span', 'said');
  said.setAttribute('aria-live', 'polite');
  stage.append(shade, canvas, svg, names, tip);
  map.append(bar, stage, legend);
  root.replaceChildren(style, map);
  stage.tabIndex = 0;
  stage.setAttribute('role', 'application');

  const xScale = scale([0, 1]);
  const yScale = scale([1, 0]);
  let given = null; // what Python gave last
  let send = () => {};
  let scatter = null;
  let held = null;
  let drawnPoints = null; // points that the canvas shows
  let polygon = null;
  let isolated = null; // Set of categories, or null: all
  let hoverTimer = 0;
  let width = 0;
  let pending = 0;

  const remember = () => {
    if (!given || !scatter || !drawnPoints) return;
    views.set(given.view, Array.from(scatter.get('cameraView')));
    isolations.set(drawnPoints.id, isolated);
  };

  const view = () => {
    if (!given || !width) return;
    const zoom = 2 / Math.max(1e-6, yScale.domain()[1] - yScale.domain()[0]);
    drawn(names, place(given.labels, zoom, xScale, yScale, width, given.height));
    overlay(svg, { ...given, polygon }, xScale, yScale);
    const box = drawnPoints?.density;
    if (box) {
      const [left, top] = [xScale(box.x0), yScale(box.y1)];
      shade.style.cssText = `left:${left}px;top:${top}px;width:${xScale(box.x1) - left}px;height:${yScale(box.y0) - top}px`;
    }
    map.dataset.zoom = zoom.toFixed(3);
  };
  const soon = () => {
    if (!pending) pending = requestAnimationFrame(() => ((pending = 0), view()));
  };

  const shown = (i) => drawnPoints.category[i] !== HIDDEN && (!isolated || isolated.has(drawnPoints.category[i]));
  const filter = async () => {
    const some = isolated || drawnPoints.filtered;
    if (!some) {
      scatter.unfilter({ preventEvent: true });
      return;
    }
    const kept = [];
    for (let i = 0; i < drawnPoints.n; i++) if (shown(i)) kept.push(i);
    await scatter.filter(kept, { preventEvent: true });
  };

  const tell = () => {
    said.textContent = '';
    const count = map.dataset.selected;
    if (count) said.textContent = given.words.selected.replace('{n}', Number(count).toLocaleString('en'));
  };

  const legendDrawn = () => {
    legend.classList.toggle('isolated', Boolean(isolated));
    legend.replaceChildren(
      ...given.categories.map((category, code) => {
        const entry = element('button', 'entry');
        const dot = element('span', 'dot');
        dot.style.background = category.colour;
        entry.append(dot, document.createTextNode(category.text));
        entry.setAttribute('aria-pressed', String(!isolated || isolated.has(code)));
        entry.onclick = async (event) => {
          const only = isolated && isolated.size === 1 && isolated.has(code);
          if (event.shiftKey && isolated) {
            isolated = new Set(isolated);
            if (!isolated.delete(code)) isolated.add(code);
            if (!isolated.size) isolated = null;
          } else {
            isolated = only ? null : new Set([code]);
          }
          await filter();
          legendDrawn();
          remember();
          if (polygon) selected(polygon);
        };
        return entry;
      }),
    );
  };

  let own = false; // our own lasso tells of itself like the user's
  const within = () => {
    own = true;
    scatter.lassoSelect(polygon, { isGl: true });
    own = false;
    map.dataset.selected = scatter.get('selectedPoints').length;
    map.dataset.lasso = JSON.stringify(polygon);
  };
  const selected = (coordinates) => {
    polygon = coordinates;
    if (!coordinates) {
      scatter.deselect({ preventEvent: true });
      delete map.dataset.selected;
      delete map.dataset.lasso;
      send('selection', { polygon: null, view: given.view });
    } else {
      within();
      send('selection', { polygon: coordinates, view: given.view, isolated: isolated && [...isolated], of: drawnPoints.id });
    }
    tell();
    soon();
  };

  const modes = {};
  const mode = (name) => {
    for (const [other, control] of Object.entries(modes)) control.setAttribute('aria-pressed', String(other === name));
    map.dataset.mode = name;
    if (name === 'pan') scatter.set({ mouseMode: 'panZoom' });
    else scatter.set({ mouseMode: 'lasso', lassoType: name === 'box' ? 'rectangle' : 'freeform' });
  };
  const camera = () => scatter.get('camera');
  const zoomed = (factor) => {
    camera().scale([factor, factor], [0, 0]);
    scatter.redraw();
  };
  const whole = () => {
    const far = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    const nearest = Math.max(far(drawnPoints.y), (far(drawnPoints.x) * given.height) / width);
    scatter.zoomToLocation([0, 0], nearest * 1.04);
  };
  const controls = () => {
    const button = (name, action) => {
      const control = element('button', 'control', given.words[name]);
      control.onclick = action;
      control.dataset.action = name;
      return control;
    };
    for (const name of ['pan', 'lasso', 'box']) modes[name] = button(name, () => mode(name));
    bar.replaceChildren(
      ...Object.values(modes),
      button('nearer', () => zoomed(1.4)),
      button('farther', () => zoomed(1 / 1.4)),
      button('whole', whole),
      button('inView', () => {
        const [x, y] = [xScale.domain(), yScale.domain()];
        selected([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]);
      }),
      button('clear', () => selected(null)),
      said,
    );
  };

  stage.addEventListener('keydown', (event) => {
    if (!scatter) return;
    const moves = { ArrowLeft: [0.2, 0], ArrowRight: [-0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] };
    if (moves[event.key]) camera().pan(moves[event.key]);
    else if (event.key === '+' || event.key === '=') zoomed(1.4);
    else if (event.key === '-') zoomed(1 / 1.4);
    else if (event.key === '0') whole();
    else if (event.key === 'Escape' && polygon) selected(null);
    else return;
    event.preventDefault();
    scatter.redraw();
  });

  const tipAt = (index, text) => {
    tip.textContent = text;
    tip.style.display = 'block';
    const [x, y] = [xScale(drawnPoints.x[index]), yScale(drawnPoints.y[index])];
    tip.style.left = `${Math.min(x + 12, width - 200)}px`;
    tip.style.top = `${Math.max(4, y - 34)}px`;
  };
  const over = (index) => {
    map.dataset.hovered = index;
    const text = drawnPoints.titles?.[index];
    if (text !== undefined) tipAt(index, text);
    else {
      clearTimeout(hoverTimer);
      hoverTimer = setTimeout(() => send('hovered', { index, of: drawnPoints.id }), 200);
    }
  };
  const out = () => {
    clearTimeout(hoverTimer);
    delete map.dataset.hovered;
    tip.style.display = 'none';
  };

  const shaded = () => {
    const { shade: values, density } = drawnPoints;
    shade.width = shade.height = density ? density.size : 0;
    if (!density) return;
    const context = shade.getContext('2d');
    const image = context.createImageData(density.size, density.size);
    const [red, green, blue] = given.colours.shade;
    for (let i = 0; i < values.length; i++) image.data.set([red, green, blue, values[i] * 0.55], 4 * i);
    context.putImageData(image, 0, 0);
  };

  const start = () => {
    if (!checkSupport() && !document.createElement('canvas').getContext('webgl')) return false;
    try {
      scatter = createScatterplot({
        canvas, width, height: given.height, syncEvents: true, xScale, yScale, aspectRatio: 1, lassoMinDelay: 8, lassoMinDist: 3,
        lassoClearEvent: 'lassoEnd', deselectOnDblClick: false, deselectOnEscape: false, pointOutlineWidth: 1, pointSizeSelected: 1,
        actionKeyMap: { lasso: 'shift', merge: null, remove: null, rotate: null },
      });
    } catch {
      return false;
    }
    scatter.subscribe('view', () => (soon(), remember()));
    scatter.subscribe('pointover', over);
    scatter.subscribe('pointout', out);
    scatter.subscribe('lassoEnd', ({ coordinates }) => {
      if (own || coordinates.length < 3) return;
      const drawnByHand = coordinates.map(([x, y]) => [x, y]);
      queueMicrotask(() => selected(drawnByHand));
    });
    return true;
  };
  const colours = () => {
    const list = given.categories.map((category) => category.colour);
    const [size, opacity] = LOOK(drawnPoints.n);
    scatter.set({
      backgroundColor: given.colours.back, pointColor: list.length > 1 ? list : [list[0] ?? '#888888', list[0] ?? '#888888'],
      pointColorActive: given.colours.text, pointColorHover: given.colours.text, colorBy: 'valueA', pointSize: size, opacity,
      opacityInactiveMax: 1, opacityInactiveScale: 1, lassoColor: given.colours.text,
    });
  };

  const points = async () => {
    const next = held?.points;
    if (!next || !scatter || next === drawnPoints || !given || next.id !== given.points) return;
    const began = performance.now();
    drawnPoints = next;
    out();
    colours();
    shaded();
    await scatter.draw({ x: next.x, y: next.y, valueA: next.category }, { zDataType: 'categorical' });
    isolated = isolations.get(next.id) ?? null;
    if (views.has(given.view)) scatter.view(views.get(given.view));
    else whole();
    legendDrawn();
    await filter();
    polygon = polygon ?? given.selection;
    if (polygon) within();
    tell();
    soon();
    map.dataset.points = next.n;
    map.dataset.drawnMs = Math.round(performance.now() - began);
  };

  const resized = new ResizeObserver(() => {
    const now = stage.clientWidth;
    if (!now || now === width) return;
    width = now;
    xScale.range([0, width]);
    if (scatter) scatter.set({ width });
    soon();
  });
  resized.observe(stage);

  return {
    update({ data, setStateValue }) {
      const theme = given?.colours.back;
      const categories = JSON.stringify(given?.categories);
      given = data;
      send = setStateValue;
      for (const [name, value] of Object.entries({ text: data.colours.text, back: data.colours.back, grid: data.colours.grid })) {
        map.style.setProperty(`--${name}`, value);
      }
      stage.style.height = `${data.height}px`;
      stage.style.background = data.colours.back;
      stage.setAttribute('aria-label', data.alt);
      svg.setAttribute('width', '100%');
      width = stage.clientWidth || width || 800;
      if (!scatter) {
        if (!start()) {
          send('webgl', false);
          return;
        }
        controls();
        mode('pan');
        map.dataset.webgl = 'yes';
        window.memdbMap = scatter; // for measurements
      }
      const next = store(data.store);
      if (next !== held) {
        held?.listeners.delete(points);
        held = next;
        held.listeners.add(points);
      }
      if (drawnPoints && (theme !== data.colours.back || categories !== JSON.stringify(data.categories))) {
        colours();
        shaded();
        scatter.redraw();
      }
      legendDrawn();
      if (data.hover && drawnPoints?.id === data.points && Number(map.dataset.hovered) === data.hover.index) {
        tipAt(data.hover.index, data.hover.text);
      }
      points();
      soon();
    },
    destroy() {
      remember();
      held?.listeners.delete(points);
      resized.disconnect();
      clearTimeout(hoverTimer);
      scatter?.destroy();
    },
  };
};

export default (component) => {
  if (component.data instanceof Uint8Array || component.data instanceof ArrayBuffer) return carry(component);
  const root = component.parentElement;
  if (!instances.has(root)) instances.set(root, create(root));
  instances.get(root).update(component);
  return () => {
    instances.get(root)?.destroy();
    instances.delete(root);
  };
};

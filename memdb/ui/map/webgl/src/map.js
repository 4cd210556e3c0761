import createScatterplot, { checkSupport, createRenderer } from 'regl-scatterplot';

import { bars } from './bars.js';
import { drawn, place } from './labels.js';
import { glow } from './glow.js';
import { overlay } from './overlay.js';
import { finder, inside } from './places.js';
import { splat } from './splat.js';
import { carry, store } from './store.js';

const HIDDEN = 255; // category of a point that a filter leaves out
const views = new Map(); // map → camera, kept while the page stays
const isolations = new Map(); // points → isolated categories, likewise
const instances = new WeakMap();
const MANY = 50_000; // points beyond which they are drawn by the processor
const MANY_WITHOUT_CARD = 1_000; // the same where the processor has to do WebGL's work as well
const FRAME_MS = 26; // of a picture while the map moves: as many points are drawn as that allows
const SLICE_MS = 12; // of drawing them all, between two looks at the pointer
const RESTS_MS = 160; // without a move: then all are drawn
const REACH = 7; // pixels from the pointer to a point
const LOWEST = 400; // pixels of the stage: it is not much higher than wide
const LEAST_REACH = 0.3; // of the plane: what lies at one place is not looked at from nearer
const MARGIN = 1.08; // around the whole map

const STYLE = `
:host, .map { display: block; }
.map { position: relative; font-family: inherit; color: var(--text); }
.stage { position: relative; overflow: hidden; border: 1px solid var(--grid); border-radius: 6px; outline-offset: 2px; }
.stage > * { position: absolute; inset: 0; }
.stage svg, .stage .names, .stage .shade, .stage .many { pointer-events: none; width: 100%; height: 100%; }
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
.legend { max-height: 460px; overflow-y: auto; }
.legend.isolated button[aria-pressed="false"] { opacity: 0.45; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 5px; vertical-align: baseline; }
.stage .said { inset: auto 6px 6px auto; font-size: 13px; color: var(--text); background: var(--back); opacity: 0.85; padding: 0 6px; border-radius: 4px;
  pointer-events: none; }
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

// Whether WebGL is computed by the processor here.
const software = () => {
  const context = document.createElement('canvas').getContext('webgl');
  const told = context?.getExtension('WEBGL_debug_renderer_info');
  const name = told ? context.getParameter(told.UNMASKED_RENDERER_WEBGL) : '';
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
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
  const many = element('canvas', 'many');
  const canvas = element('canvas', 'points');
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const names = element('div', 'names');
  const tip = element('div', 'tip');
  const legend = element('div', 'legend');
  const said = element('span', 'said');
  said.setAttribute('aria-live', 'polite');
  stage.append(shade, many, canvas, svg, names, tip, said);
  map.append(bar, stage, legend);
  root.replaceChildren(style, map);
  stage.tabIndex = 0;
  stage.setAttribute('role', 'application');

  const xScale = scale([0, 1]);
  const yScale = scale([1, 0]);
  let given = null; // what Python gave last
  let send = () => {};
  let scatter = null;
  let renderer = null;
  let slow = false; // no graphics card
  let lassoing = false;
  let held = null;
  let drawnPoints = null; // points that the canvas shows
  let polygon = null;
  let isolated = null; // Set of categories, or null: all
  let hoverTimer = 0;
  let width = 0;
  let height = 0;
  let fitted = false; // the whole map is in view, and stays so when the page gives it another width
  let standing = false; // the camera is where it belongs: from then on it is remembered
  let pending = 0;
  const picture = splat(many); // of many points; few are drawn by WebGL
  let rate = 5_000; // points that it draws in a millisecond, as measured
  let fixed = 10; // milliseconds of a picture beside its points, likewise
  let resting = 0;
  let selectedPoints = null; // 1 for each, of many points
  let nearest = null; // of many points, made when first needed
  let reach = null; // how far the points lie from the middle, across and up
  let began = 0;

  const remember = () => {
    if (!given || !scatter || !drawnPoints || !standing) return;
    views.set(given.view, { camera: Array.from(scatter.get('cameraView')), fitted });
    isolations.set(drawnPoints.id, isolated);
  };

  // What the camera sees. regl-scatterplot's own scales are a frame behind where the stage has another size.
  const looked = () => {
    const [x, y] = scatter.get('cameraTarget');
    const far = scatter.get('cameraDistance');
    const across = (far * width) / height;
    xScale.domain([x - across, x + across]);
    yScale.domain([y - far, y + far]);
    xScale.range([0, width]);
    yScale.range([height, 0]);
    return far;
  };
  // How far away the camera sees the whole map.
  const wholly = () => {
    reach ??= ['x', 'y'].map((axis) => drawnPoints[axis].reduce((most, value) => Math.max(most, Math.abs(value)), LEAST_REACH));
    return Math.max(reach[1], (reach[0] * height) / width) * MARGIN;
  };
  const view = () => {
    if (!given || !width || !scatter) return;
    const far = looked();
    const zoom = drawnPoints ? wholly() / far : 1;
    drawn(names, place(given.labels, zoom, xScale, yScale, width, height));
    overlay(svg, { ...given, polygon }, xScale, yScale);
    const box = drawnPoints?.density;
    if (box) {
      const [left, top] = [xScale(box.x0), yScale(box.y1)];
      shade.style.cssText = `left:${left}px;top:${top}px;width:${xScale(box.x1) - left}px;height:${yScale(box.y0) - top}px`;
    }
    map.dataset.zoom = zoom.toFixed(3);
    if (drawnPoints?.byProcessor) moved();
    map.dispatchEvent(new Event('painted')); // for measurements
  };
  const begun = () =>
    picture.begin(drawnPoints, xScale, yScale, width, height, {
      colours: given.categories.map((category) => category.colour),
      drawn: Uint8Array.from({ length: 256 }, (_, code) => code !== HIDDEN && (!isolated || isolated.has(code))),
      selected: selectedPoints,
      faint: given.categories.map((category) => category.faint),
    });
  const told = (count) => {
    map.dataset.shown = count;
    tell();
  };
  // While it moves, as many points as a frame has time for: the first ones, which are a random part of all.
  const moved = () => {
    clearTimeout(resting);
    const { n } = drawnPoints;
    const marks = [performance.now()];
    begun();
    marks.push(performance.now());
    const count = Math.min(n, Math.max(10_000, Math.round(rate * Math.max(4, FRAME_MS - fixed))));
    picture.add(0, count);
    marks.push(performance.now());
    picture.show(count / n);
    const took = performance.now() - marks[0];
    const adding = Math.max(0.5, marks[2] - marks[1]);
    rate = 0.7 * rate + (0.3 * count) / adding;
    fixed = 0.7 * fixed + 0.3 * (took - adding);
    told(count);
    if (count < n) resting = setTimeout(rested, RESTS_MS);
    else complete();
  };
  const rested = () => {
    begun();
    let next = 0;
    const slice = () => {
      const until = performance.now() + SLICE_MS;
      while (next < drawnPoints.n && performance.now() < until) {
        const to = Math.min(drawnPoints.n, next + 20_000);
        picture.add(next, to);
        next = to;
      }
      if (next < drawnPoints.n) resting = setTimeout(slice, 0);
      else {
        picture.show(1);
        told(next);
        complete();
      }
    };
    slice();
  };
  const complete = () => {
    map.dataset.wholeMs ??= Math.round(performance.now() - began);
  };
  const soon = () => {
    if (!pending) pending = requestAnimationFrame(() => ((pending = 0), view()));
  };

  const shown = (i) => drawnPoints.category[i] !== HIDDEN && (!isolated || isolated.has(drawnPoints.category[i]));
  const filter = async () => {
    if (drawnPoints.byProcessor) {
      soon();
      return;
    }
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
    const words = [];
    const number = (value) => Number(value).toLocaleString('en');
    if (drawnPoints?.byProcessor && Number(map.dataset.shown) < drawnPoints.n) {
      words.push(given.words.part.replace('{n}', number(map.dataset.shown)).replace('{all}', number(drawnPoints.n)));
    }
    if (map.dataset.selected) words.push(given.words.selected.replace('{n}', number(map.dataset.selected)));
    const text = words.join(' · ');
    if (said.textContent !== text) said.textContent = text;
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
          shaded();
          legendDrawn();
          remember();
          if (polygon) selected(polygon);
        };
        return entry;
      }),
    );
  };

  const within = () => {
    const places = inside(polygon, drawnPoints, shown);
    if (drawnPoints.byProcessor) {
      selectedPoints = new Uint8Array(drawnPoints.n);
      for (const i of places) selectedPoints[i] = 1;
    } else scatter.select(places, { preventEvent: true });
    map.dataset.selected = places.length;
    map.dataset.lasso = JSON.stringify(polygon);
  };
  const selected = (coordinates) => {
    polygon = coordinates;
    if (!coordinates) {
      scatter.deselect({ preventEvent: true });
      selectedPoints = null;
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
    fitted = false;
    camera().scale([factor, factor], [0, 0]);
    scatter.redraw();
  };
  const whole = () => {
    fitted = true;
    scatter.zoomToLocation([0, 0], wholly());
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
    );
  };

  stage.addEventListener('keydown', (event) => {
    if (!scatter) return;
    const moves = { ArrowLeft: [0.2, 0], ArrowRight: [-0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] };
    if (moves[event.key]) {
      fitted = false;
      camera().pan(moves[event.key]);
    }
    else if (event.key === '+' || event.key === '=') zoomed(1.4);
    else if (event.key === '-') zoomed(1 / 1.4);
    else if (event.key === '0') whole();
    else if (event.key === 'Escape' && polygon) selected(null);
    else return;
    event.preventDefault();
    scatter.redraw();
  });

  stage.addEventListener('wheel', () => (fitted = false), { passive: true });
  stage.addEventListener('pointerdown', (event) => (fitted &&= map.dataset.mode !== 'pan' || event.shiftKey)); // a lasso moves nothing

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
    const shows = (code) => code !== HIDDEN && !given.categories[code]?.faint && (!isolated || isolated.has(code));
    glow(shade, drawnPoints, given.categories.map((category) => category.colour), shows, given.colours.shade);
  };

  const start = () => {
    if (!checkSupport() && !document.createElement('canvas').getContext('webgl')) return false;
    try {
      slow = software();
      renderer = createRenderer();
      const render = renderer.render;
      // Of many points WebGL draws the lasso alone: an empty picture would take most of a frame where there is no graphics card.
      renderer.render = (...call) => (drawnPoints?.byProcessor && !lassoing && map.dataset.mode === 'pan' ? undefined : render(...call));
      scatter = createScatterplot({
        renderer, canvas, width, height, syncEvents: true, aspectRatio: 1, lassoMinDelay: 8, lassoMinDist: 3,
        lassoClearEvent: 'lassoEnd', deselectOnDblClick: false, deselectOnEscape: false, pointOutlineWidth: 1, pointSizeSelected: 1,
        actionKeyMap: { lasso: 'shift', merge: null, remove: null, rotate: null },
      });
    } catch {
      return false;
    }
    scatter.subscribe('view', () => (soon(), remember()));
    stage.addEventListener('pointermove', (event) => {
      if (!drawnPoints?.byProcessor || event.buttons || map.dataset.mode !== 'pan') return;
      nearest ??= finder(drawnPoints);
      const box = canvas.getBoundingClientRect();
      const [x, y] = [xScale.invert(event.clientX - box.left), yScale.invert(event.clientY - box.top)];
      const reach = REACH * ((xScale.domain()[1] - xScale.domain()[0]) / width);
      const index = nearest(x, y, reach, shown);
      if (index < 0) out();
      else if (Number(map.dataset.hovered ?? -1) !== index) over(index);
    });
    scatter.subscribe('pointover', over);
    scatter.subscribe('pointout', out);
    scatter.subscribe('lassoStart', () => (lassoing = true));
    scatter.subscribe('lassoEnd', ({ coordinates }) => {
      setTimeout(() => (lassoing = false), RESTS_MS); // once more, without the lasso
      if (coordinates.length < 3) return;
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
      pointColorActive: list.length > 1 ? list : [list[0] ?? '#888888', list[0] ?? '#888888'], pointColorHover: given.colours.text,
      colorBy: 'valueA', pointSize: size, opacity, opacityInactiveMax: 1, opacityInactiveScale: 0.2, lassoColor: given.colours.text,
    });
  };

  const points = async () => {
    const next = held?.points;
    if (!next || !scatter || next === drawnPoints || !given || next.id !== given.points) return;
    began = performance.now();
    drawnPoints = next;
    next.byProcessor = next.n > (slow ? MANY_WITHOUT_CARD : MANY);
    map.dataset.by = next.byProcessor ? 'processor' : 'webgl';
    clearTimeout(resting);
    selectedPoints = nearest = reach = null;
    standing = false;
    const before = views.get(given.view);
    many.style.display = next.byProcessor ? '' : 'none';
    delete map.dataset.shown;
    delete map.dataset.wholeMs;
    out();
    isolated = isolations.get(next.id) ?? null;
    colours();
    shaded();
    // Of many points WebGL keeps the camera and the lasso; its one point lies far outside.
    const few = next.byProcessor ? { x: [1e6], y: [1e6], valueA: [0] } : { x: next.x, y: next.y, valueA: next.category };
    await scatter.draw(few, { zDataType: 'categorical' });
    if (before && !before.fitted) {
      fitted = false;
      scatter.view(before.camera);
    } else whole();
    standing = true;
    legendDrawn();
    await filter();
    polygon = polygon ?? given.selection;
    if (polygon) within();
    tell();
    view();
    map.dataset.points = next.n;
    map.dataset.drawnMs = Math.round(performance.now() - began);
  };

  // The stage has the width that the page gives it, and is not much higher than wide.
  const sized = () => {
    width = stage.clientWidth || width || 800;
    height = Math.round(Math.min(given.height, Math.max(LOWEST, 0.9 * width)));
    stage.style.height = `${height}px`;
  };
  const resized = new ResizeObserver(async () => {
    const before = width;
    if (!given || !stage.clientWidth || stage.clientWidth === before) return;
    sized();
    if (!scatter) return;
    await scatter.set({ width, height });
    if (fitted && drawnPoints) whole();
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
      stage.style.background = data.colours.back;
      stage.setAttribute('aria-label', data.alt);
      svg.setAttribute('width', '100%');
      if (!scatter) {
        sized();
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
      clearTimeout(resting);
      held?.listeners.delete(points);
      resized.disconnect();
      clearTimeout(hoverTimer);
      scatter?.destroy();
      renderer?.destroy();
    },
  };
};

export default (component) => {
  if (component.data instanceof Uint8Array || component.data instanceof ArrayBuffer) return carry(component);
  if (component.data.bars) return bars(component);
  const root = component.parentElement;
  if (!instances.has(root)) instances.set(root, create(root));
  instances.get(root).update(component);
  return () => {
    instances.get(root)?.destroy();
    instances.delete(root);
  };
};

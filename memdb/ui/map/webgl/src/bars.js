// Bars of fields beside the map: how often each value is in the selection, and on the whole map. A click chooses a value.

const STYLE = `
.bars { font-family: inherit; font-size: 13px; color: var(--text); }
.field { margin-bottom: 10px; }
.head { display: flex; justify-content: space-between; align-items: baseline; gap: 4px; font-weight: 600; margin-bottom: 2px; }
.values { max-height: 228px; overflow-y: auto; border: 1px solid var(--grid); border-radius: 6px; }
button { font: inherit; color: var(--text); background: transparent; border: 0; cursor: pointer; }
.every { font-weight: 400; text-decoration: underline; padding: 0; }
.value { position: relative; display: flex; justify-content: space-between; gap: 6px; width: 100%; padding: 3px 6px; text-align: left; overflow: hidden; }
.value > span { position: relative; white-space: nowrap; }
.value .name { overflow: hidden; text-overflow: ellipsis; }
.value .bar, .value .all { position: absolute; top: 2px; bottom: 2px; left: 0; }
.value .bar { background: var(--bar); opacity: 0.3; border-radius: 3px; }
.value .all { width: 2px; background: var(--text); opacity: 0.65; }
.value[aria-pressed="true"] { font-weight: 700; box-shadow: inset 3px 0 0 var(--text); }
.value[aria-pressed="true"] .bar { opacity: 0.55; }
.value:focus-visible { outline: 2px solid var(--text); outline-offset: -2px; }
.note { opacity: 0.8; margin-top: 2px; }
`;

const made = (name, className, text) => {
  const element = document.createElement(name);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const roots = new WeakMap(); // root → { names, fields }: kept, so that focus and scrolling stay

const create = (root, given) => {
  const style = made('style', '', STYLE);
  const box = made('div', 'bars');
  const state = { box, given, chosen: {}, fields: [] };
  const say = () => state.send('chosen', state.chosen);
  for (const [place, field] of given.bars.entries()) {
    const part = made('div', 'field');
    const head = made('div', 'head');
    const every = made('button', 'every', given.words.every);
    every.onclick = () => ((state.chosen[field.key] = []), say());
    head.append(made('span', '', field.title), every);
    const values = made('div', 'values');
    values.setAttribute('role', 'group');
    values.setAttribute('aria-label', field.title);
    const rows = field.values.map((value, row) => {
      const control = made('button', 'value');
      const [bar, all, told] = [made('span', 'bar'), made('span', 'all'), made('span', 'told')];
      control.append(bar, all, made('span', 'name', value.text), told);
      control.onclick = () => {
        const rows = state.chosen[field.key];
        state.chosen[field.key] = rows.includes(row) ? rows.filter((other) => other !== row) : [...rows, row].sort((a, b) => a - b);
        say();
        update(state, state.given);
      };
      values.append(control);
      return { control, bar, all, told };
    });
    part.append(head, values);
    if (field.left) part.append(made('div', 'note', field.left));
    box.append(part);
    state.fields[place] = { every, rows };
  }
  box.append(made('div', 'note', given.words.bars));
  root.replaceChildren(style, box);
  return state;
};

const update = (state, given) => {
  state.given = given;
  for (const [name, value] of Object.entries({ text: given.colours.text, grid: given.colours.grid, bar: given.colours.bar })) {
    state.box.style.setProperty(`--${name}`, value);
  }
  given.bars.forEach((field, place) => {
    const { every, rows } = state.fields[place];
    const most = field.values.reduce((most, value) => Math.max(most, value.here, value.all), 1e-9);
    const chosen = state.chosen[field.key];
    every.style.visibility = chosen.length ? 'visible' : 'hidden';
    field.values.forEach((value, row) => {
      const { control, bar, all, told } = rows[row];
      bar.style.width = `${(100 * value.here) / most}%`;
      all.style.left = `calc(${(100 * value.all) / most}% - 2px)`;
      told.textContent = percent(value.here);
      control.title = value.words;
      control.setAttribute('aria-pressed', String(chosen.includes(row)));
    });
  });
};

export const bars = ({ data, parentElement, setStateValue }) => {
  const names = JSON.stringify(data.bars.map((field) => [field.key, field.title, field.left, field.values.map((value) => value.text)]));
  let state = roots.get(parentElement);
  if (state?.names !== names) {
    state = create(parentElement, data);
    state.names = names;
    roots.set(parentElement, state);
  }
  state.send = setStateValue;
  state.chosen = Object.fromEntries(data.bars.map((field) => [field.key, field.chosen]));
  update(state, data);
  return () => roots.delete(parentElement);
};

// Names on the map: those of the coarse groups always, finer ones as one comes nearer; none overlaps another.

const NEARER = [0, 1.8, 3.5]; // how far one must have come for the names of a level; 1 shows the whole map

const SIZES = [15, 13, 12]; // pixels of a level's letters
const NARROW = 600; // pixels of a map on which they are two smaller

const measure = document.createElement('canvas').getContext('2d');
const widths = new Map(); // of texts, by size

const wideness = (text, size) => {
  const key = `${size} ${text}`;
  if (!widths.has(key)) {
    if (widths.size > 5_000) widths.clear();
    measure.font = `600 ${size}px sans-serif`;
    widths.set(key, Math.max(...text.split('\n').map((line) => measure.measureText(line).width)) + 8);
  }
  return widths.get(key);
};

export const place = (labels, zoom, xScale, yScale, width, height) => {
  const taken = [];
  const placed = [];
  for (const label of labels) {
    if (zoom < (NEARER[label.level] ?? Infinity)) continue;
    const size = SIZES[label.level] - (width < NARROW ? 2 : 0);
    const wide = wideness(label.text, size);
    const high = label.text.split('\n').length * size * 1.2 + 4;
    const at = [xScale(label.x), yScale(label.y)];
    if (at[0] < 0 || at[1] < 0 || at[0] > width || at[1] > height || wide > width) continue;
    const x = Math.min(Math.max(at[0], wide / 2), width - wide / 2); // whole, also near an edge
    const y = Math.min(Math.max(at[1], high / 2), height - high / 2);
    const box = [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2];
    if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
    taken.push(box);
    placed.push({ ...label, left: x, top: y, size });
  }
  return placed;
};

export const drawn = (parent, placed) => {
  parent.replaceChildren(
    ...placed.map((label) => {
      const name = document.createElement('div');
      name.className = 'name';
      name.dataset.level = label.level;
      name.textContent = label.text;
      name.style.cssText = `left:${label.left}px;top:${label.top}px;font-size:${label.size}px`;
      return name;
    }),
  );
};

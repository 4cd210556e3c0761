// What lies on the points: a query with its neighbours, told apart by shape and colour; a session's path; users.

const SVG = 'http://www.w3.org/2000/svg';

const made = (name, attributes, text) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) {
    const title = document.createElementNS(SVG, 'title');
    title.textContent = text;
    element.append(title);
  }
  return element;
};

const star = (x, y, size) =>
  Array.from({ length: 10 }, (_, i) => {
    const far = i % 2 ? size / 2.4 : size;
    const angle = (Math.PI * i) / 5 - Math.PI / 2;
    return `${x + far * Math.cos(angle)},${y + far * Math.sin(angle)}`;
  }).join(' ');

const SHAPES = {
  found: (x, y) => ['circle', { cx: x, cy: y, r: 6 }],
  missed: (x, y) => ['path', { d: `M${x - 6},${y - 6}L${x + 6},${y + 6}M${x - 6},${y + 6}L${x + 6},${y - 6}`, 'stroke-width': 4 }],
  wrong: (x, y) => ['polygon', { points: `${x},${y - 8} ${x + 8},${y} ${x},${y + 8} ${x - 8},${y}` }],
  user: (x, y) => ['polygon', { points: `${x},${y - 7} ${x + 7},${y + 6} ${x - 7},${y + 6}` }],
};
const DASHES = { found: '', missed: '2 4', wrong: '7 4' };

export const overlay = (svg, { query, path, users, polygon, colours }, xScale, yScale) => {
  const at = (point) => [xScale(point[0]), yScale(point[1])];
  const parts = [];
  if (polygon) {
    parts.push(made('polygon', { points: polygon.map((point) => at(point).join(',')).join(' '), class: 'lasso', stroke: colours.text, fill: 'none', 'stroke-dasharray': '5 3' }));
  }
  if (path) {
    const places = path.places.map(at);
    parts.push(made('polyline', { points: places.map((place) => place.join(',')).join(' '), stroke: colours.text, fill: 'none', 'stroke-width': 2 }));
    places.forEach(([x, y], i) => {
      parts.push(made('circle', { cx: x, cy: y, r: 9, fill: colours.back, stroke: colours.text, 'stroke-width': 2, class: 'mark turn' }, path.texts[i]));
      const number = made('text', { x, y: y + 3, 'text-anchor': 'middle', fill: colours.text, 'font-size': 10 });
      number.textContent = i + 1;
      parts.push(number);
    });
  }
  for (const user of users ?? []) {
    const [name, attributes] = SHAPES.user(...at(user.place));
    parts.push(made(name, { ...attributes, fill: colours.user, stroke: colours.back, class: 'mark user' }, user.text));
  }
  if (query) {
    const [x, y] = at(query.place);
    for (const mark of query.marks) {
      const [mx, my] = at(mark.place);
      parts.push(made('line', { x1: x, y1: y, x2: mx, y2: my, stroke: colours[mark.kind], 'stroke-dasharray': DASHES[mark.kind] }));
    }
    for (const mark of query.marks) {
      const [name, attributes] = SHAPES[mark.kind](...at(mark.place));
      const look = mark.kind === 'missed' ? { stroke: colours.missed } : { fill: colours[mark.kind], stroke: colours.back };
      parts.push(made(name, { ...look, ...attributes, class: `mark ${mark.kind}` }, mark.text));
    }
    parts.push(made('polygon', { points: star(x, y, 11), fill: colours.text, stroke: colours.back, class: 'mark query' }, query.text));
  }
  svg.replaceChildren(...parts);
};

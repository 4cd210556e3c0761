// Which points lie where: in a lasso, as Python decides it (memdb/ui/map/canvas.py), and under the pointer.

export const inside = (polygon, { n, x, y }, shown) => {
  const across = polygon.map((corner) => corner[0]);
  const up = polygon.map((corner) => corner[1]);
  const [x0, x1, y0, y1] = [Math.min(...across), Math.max(...across), Math.min(...up), Math.max(...up)];
  const places = [];
  for (let i = 0; i < n; i++) {
    const [px, py] = [x[i], y[i]];
    if (px < x0 || px > x1 || py < y0 || py > y1 || !shown(i)) continue;
    let winding = 0;
    let [ax, ay] = [across[across.length - 1], up[up.length - 1]];
    for (let corner = 0; corner < across.length; corner++) {
      // As there: from each corner to the one before it.
      const [bx, by] = [across[corner], up[corner]];
      const side = (ax - bx) * (py - by) - (px - bx) * (ay - by);
      if (by <= py) {
        if (ay > py && side > 0) winding++;
      } else if (ay <= py && side < 0) winding--;
      [ax, ay] = [bx, by];
    }
    if (winding !== 0) places.push(i);
  }
  return places;
};

const CELLS = 256; // of the plane, along each side

// The nearest shown point within a distance of a place of the plane; -1 where there is none.
export const finder = ({ n, x, y }) => {
  const cell = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value + 1) / 2) * CELLS)));
  const begins = new Uint32Array(CELLS * CELLS + 1);
  for (let i = 0; i < n; i++) begins[cell(y[i]) * CELLS + cell(x[i]) + 1]++;
  for (let c = 0; c < CELLS * CELLS; c++) begins[c + 1] += begins[c];
  const next = begins.slice();
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[next[cell(y[i]) * CELLS + cell(x[i])]++] = i;
  return (px, py, within, shown) => {
    let nearest = -1;
    let least = within * within;
    for (let row = cell(py - within); row <= cell(py + within); row++) {
      const [first, last] = [cell(px - within), cell(px + within)];
      for (let at = begins[row * CELLS + first]; at < begins[row * CELLS + last + 1]; at++) {
        const i = order[at];
        const far = (x[i] - px) ** 2 + (y[i] - py) ** 2;
        if (far <= least && shown(i)) [nearest, least] = [i, far];
      }
    }
    return nearest;
  };
};

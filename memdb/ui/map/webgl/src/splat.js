// Many points, drawn by the processor into a canvas: where a browser has no graphics card, its WebGL needs a
// second for a million points, and this some hundredths. What lies on one pixel is mixed, whatever the order of the points.

const LOOKED = 20_000; // points that tell how many are in view: the first ones are a random part of all
const LARGEST = 1_600_000; // pixels; beyond, the picture is coarser than the screen
const STEPS = 16; // of a pixel's density, for each point that lies on it

const FAINT = 0.3; // weight of a point between the groups

export const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// A disc as [dx, dy, cover] of its pixels.
const disc = (radius) => {
  const cells = [];
  const reach = Math.ceil(radius);
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(dx, dy)));
      if (cover > 0) cells.push([dx, dy, cover]);
    }
  }
  return cells;
};

export const splat = (canvas) => {
  const context = canvas.getContext('2d');
  let mixed = new Float32Array(0); // red, green, blue, density of each pixel
  let image = null;
  let frame = null;

  // What is drawn next. points: { n, x, y, category }; drawn: 1 for the categories that show (256); selected: 1 for points, or null;
  // faint: whether a category lies between the groups.
  const begin = (points, xScale, yScale, width, height, { colours, drawn, selected, faint }) => {
    const ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(LARGEST / (width * height)));
    const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (canvas.width !== wide || canvas.height !== high || !image) {
      canvas.width = wide;
      canvas.height = high;
      mixed = new Float32Array(4 * wide * high);
      image = context.createImageData(wide, high);
    } else {
      mixed.fill(0);
    }
    const [x0, x1] = xScale.domain();
    const [y0, y1] = yScale.domain();
    const some = Math.min(LOOKED, points.n);
    let inView = 0;
    for (let i = 0; i < some; i++) {
      const [x, y] = [points.x[i], points.y[i]];
      if (drawn[points.category[i]] && x >= x0 && x <= x1 && y >= y0 && y <= y1) inView++;
    }
    const visible = Math.max(1, (inView / some) * points.n);
    const radius = Math.min(4.5 * ratio, Math.max(0.5, 0.2 * Math.sqrt((wide * high) / visible)));
    frame = {
      points, drawn, selected, wide, high, radius,
      weights: Float32Array.from({ length: 256 }, (_, code) => (faint[code] ? FAINT : 1)),
      cells: radius > 0.7 ? disc(radius) : null,
      opacity: Math.min(0.8, 0.3 + 0.2 * (radius - 0.5)),
      ax: wide / (x1 - x0), bx: (-x0 * wide) / (x1 - x0), ay: -high / (y1 - y0), by: (y1 * high) / (y1 - y0),
      tones: colours.map(rgb),
    };
  };

  const add = (from, to) => {
    const { points, drawn, selected, weights, wide, high, cells, ax, bx, ay, by, tones } = frame;
    const { x, y, category } = points;
    const red = new Float32Array(256);
    const green = new Float32Array(256);
    const blue = new Float32Array(256);
    tones.forEach((tone, code) => ([red[code], green[code], blue[code]] = tone));
    for (let i = from; i < to; i++) {
      const code = category[i];
      if (!drawn[code]) continue;
      const px = (x[i] * ax + bx) | 0;
      const py = (y[i] * ay + by) | 0;
      if (px < 0 || py < 0 || px >= wide || py >= high) continue;
      const weight = selected && !selected[i] ? 0.12 : selected ? 1 : weights[code];
      if (!cells) {
        const at = 4 * (py * wide + px);
        mixed[at] += weight * red[code];
        mixed[at + 1] += weight * green[code];
        mixed[at + 2] += weight * blue[code];
        mixed[at + 3] += weight;
        continue;
      }
      for (let c = 0; c < cells.length; c++) {
        const [cx, cy] = [px + cells[c][0], py + cells[c][1]];
        if (cx < 0 || cy < 0 || cx >= wide || cy >= high) continue;
        const part = weight * cells[c][2];
        const at = 4 * (cy * wide + cx);
        mixed[at] += part * red[code];
        mixed[at + 1] += part * green[code];
        mixed[at + 2] += part * blue[code];
        mixed[at + 3] += part;
      }
    }
  };

  // A part of the points stands for all: each counts for as many as were left out.
  const show = (part) => {
    const through = Math.log(1 - frame.opacity) / STEPS / part;
    const alpha = Uint8Array.from({ length: 64 * STEPS }, (_, step) => Math.round(255 * (1 - Math.exp(through * step))));
    const pixels = new Uint32Array(image.data.buffer);
    const last = alpha.length - 1;
    for (let p = 0, at = 0; p < pixels.length; p++, at += 4) {
      const density = mixed[at + 3];
      if (density === 0) {
        pixels[p] = 0;
        continue;
      }
      const step = Math.min(last, (density * STEPS + 0.5) | 0);
      pixels[p] =
        (alpha[step] << 24) | ((mixed[at + 2] / density) << 16) | ((mixed[at + 1] / density) << 8) | (mixed[at] / density);
    }
    context.putImageData(image, 0, 0);
  };

  return { begin, add, show };
};

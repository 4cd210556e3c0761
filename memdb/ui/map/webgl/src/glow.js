// The density under the points, in the colours of what lies there: how dense is told by Python, which colour is found here.

import { rgb } from './splat.js';

const STRENGTH = 0.6; // alpha where it is densest
const REACH = 3; // cells that a colour spreads
const QUIET = 0.35; // weight of a point without a colour of its own

// Means of a square of cells around each, along one axis and then the other.
const spread = (values, size) => {
  const means = new Float32Array(values.length);
  for (const [step, next] of [[1, size], [size, 1]]) {
    const from = step === 1 ? values : means.slice();
    for (let line = 0; line < size; line++) {
      let sum = 0;
      const at = (place) => line * next + place * step;
      for (let place = 0; place < Math.min(REACH, size); place++) sum += from[at(place)];
      for (let place = 0; place < size; place++) {
        if (place + REACH < size) sum += from[at(place + REACH)];
        if (place - REACH > 0) sum -= from[at(place - REACH - 1)];
        means[at(place)] = sum;
      }
    }
  }
  return means;
};

// colours: of the categories; shows: whether the points of a category have their own colour; quiet: [red, green, blue] of the others.
export const glow = (canvas, { n, x, y, category, shade, density }, colours, shows, quiet) => {
  canvas.width = canvas.height = density ? density.size : 0;
  if (!density) return;
  const { size, x0, y0, x1, y1 } = density;
  const tones = colours.map(rgb);
  // What a point of each category adds to the red, green, blue and weight of its cell.
  const adds = [0, 1, 2, 3].map((part) =>
    Float32Array.from({ length: 256 }, (_, code) => {
      const [tone, weight] = tones[code] && shows(code) ? [tones[code], 1] : [quiet, QUIET];
      return part < 3 ? weight * tone[part] : weight;
    }),
  );
  const [addsRed, addsGreen, addsBlue, addsWeight] = adds;
  const parts = adds.map(() => new Float32Array(size * size));
  const [reds, greens, blues, sums] = parts;
  for (let i = 0; i < n; i++) {
    const column = Math.min(size - 1, Math.max(0, (((x[i] - x0) / (x1 - x0)) * size) | 0));
    const row = Math.min(size - 1, Math.max(0, (((y1 - y[i]) / (y1 - y0)) * size) | 0));
    const at = row * size + column;
    const code = category[i];
    reds[at] += addsRed[code];
    greens[at] += addsGreen[code];
    blues[at] += addsBlue[code];
    sums[at] += addsWeight[code];
  }
  const [red, green, blue, weights] = parts.map((part) => spread(part, size));
  const context = canvas.getContext('2d');
  const image = context.createImageData(size, size);
  for (let i = 0; i < shade.length; i++) {
    const weight = weights[i];
    const tone = weight > 1e-3 ? [red[i] / weight, green[i] / weight, blue[i] / weight] : quiet;
    image.data.set([...tone, shade[i] * STRENGTH], 4 * i);
  }
  context.putImageData(image, 0, 0);
};

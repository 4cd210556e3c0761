// Points come in a component of their own, as bytes, and stay as long as the page: the view beside it takes
// what changes often (a query, a hover, colours of a theme) without the points being sent again.

const stores = new Map(); // name → { points, listeners }

export const store = (name) => {
  if (!stores.has(name)) stores.set(name, { points: null, listeners: new Set() });
  return stores.get(name);
};

const STEP = 2 / 65535; // of a place told in 16 bits

// Bytes: length of the head (uint32), the head (JSON), then x, y (float32, or of many points uint16), category (uint8),
// density (uint8).
export const decoded = (bytes) => {
  const whole = bytes.byteOffset % 4 ? bytes.slice() : bytes;
  const at = whole.byteOffset;
  const length = new DataView(whole.buffer, at, 4).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(whole.buffer, at + 4, length)));
  let next = at + 4 + length; // a multiple of four: the head is padded
  const take = (kind, count) => {
    const part = new kind(whole.buffer, next, count);
    next += part.byteLength;
    return part;
  };
  const axis = () => (head.bits === 16 ? Float32Array.from(take(Uint16Array, head.n), (step) => step * STEP - 1) : take(Float32Array, head.n));
  const x = axis();
  const y = axis();
  const category = take(Uint8Array, head.n);
  const density = head.density ? take(Uint8Array, head.density.size ** 2) : null;
  return { ...head, x, y, category, shade: density };
};

export const carry = ({ data, parentElement }) => {
  const points = decoded(data instanceof Uint8Array ? data : new Uint8Array(data));
  const held = store(points.name);
  if (held.points?.id !== points.id) {
    held.points = points;
    for (const listener of held.listeners) listener();
  }
  if (parentElement.host) parentElement.host.style.display = 'none';
};

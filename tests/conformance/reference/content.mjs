/** A red pixel. */
export const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

/** A WAV file of no samples. */
export const SILENCE = wav().toString('base64');

export const text = (text) => ({ content: [{ type: 'text', text }] });

export const image = () => ({ type: 'image', data: PIXEL, mimeType: 'image/png' });

export const said = (content) => ({ role: 'user', content: typeof content === 'string' ? { type: 'text', text: content } : content });

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function wav() {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  // PCM, one channel, 8000 samples a second of one byte.
  for (const [offset, value] of [[20, 1], [22, 1], [32, 1], [34, 8]]) head.writeUInt16LE(value, offset);
  for (const offset of [24, 28]) head.writeUInt32LE(8000, offset);
  head.write('data', 36);
  return head;
}

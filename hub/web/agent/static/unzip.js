// The plain files of a ZIP, one after the other, unpacked in the browser: the hub is never handed an archive.  One that
// is too long, or cannot be unpacked, has no blob but a reason why.
'use strict';
const MOST = 1000, LONGEST = 2000000;

async function* unzip(blob) {
  const tail = new DataView(await blob.slice(Math.max(0, blob.size - 65557)).arrayBuffer());
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error('zip');
  const count = tail.getUint16(end + 10, true), size = tail.getUint32(end + 12, true), start = tail.getUint32(end + 16, true);
  if (count > MOST || start + size > blob.size) throw new Error('zip');
  const listed = new DataView(await blob.slice(start, start + size).arrayBuffer());
  for (let at = 0, n = 0; n < count; n++) {
    if (listed.getUint32(at, true) !== 0x02014b50) throw new Error('zip');
    const locked = listed.getUint16(at + 8, true) & 1, method = listed.getUint16(at + 10, true), packed = listed.getUint32(at + 20, true);
    const plain = listed.getUint32(at + 24, true), long = listed.getUint16(at + 28, true);
    const more = listed.getUint16(at + 30, true) + listed.getUint16(at + 32, true), from = listed.getUint32(at + 42, true);
    const name = new TextDecoder().decode(new Uint8Array(listed.buffer, listed.byteOffset + at + 46, long));
    at += 46 + long + more;
    if (name.endsWith('/') || name.startsWith('__MACOSX/')) continue;
    if (plain > LONGEST) { yield { name, blob: null, why: 'photo_too_large' }; continue; }
    if (locked || (method !== 0 && method !== 8)) { yield { name, blob: null, why: 'photo_unreadable' }; continue; }
    const local = new DataView(await blob.slice(from, from + 30).arrayBuffer());
    const body = from + 30 + local.getUint16(26, true) + local.getUint16(28, true);
    const raw = blob.slice(body, body + packed);
    try {
      const unpacked = method === 0 ? raw : await inflated(raw);
      yield { name, blob: unpacked, why: unpacked ? undefined : 'photo_too_large' };
    } catch { yield { name, blob: null, why: 'photo_unreadable' }; }
  }
}

// What it says of its own length is not believed: no more is unpacked than a photo may have.
async function inflated(raw) {
  const reader = raw.stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  const parts = [];
  for (let length = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    length += value.length;
    if (length > LONGEST) { await reader.cancel(); return null; }
    parts.push(value);
  }
}

/** Text lines of a byte stream (NDJSON); a last line without a line end counts when the stream ends in order. */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  for await (const chunk of stream) {
    const pieces = decoder.decode(chunk, { stream: true }).split('\n');
    for (const piece of pieces.slice(0, -1)) {
      const line = parts.join('') + piece;
      parts = [];
      if (line !== '') yield line;
    }
    parts.push(pieces.at(-1)!);
  }
  const rest = parts.join('') + decoder.decode();
  if (rest !== '') yield rest;
}

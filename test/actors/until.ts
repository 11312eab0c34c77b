/** Waiting for something that no event tells: looks again and again, for a bounded time. */

const PAUSE_MS = 10;

/** Resolves with the first truthy value of `look`; rejects when none has come after `limitMs` (default 60,000). */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  limitMs = 60_000,
): Promise<Exclude<T, undefined | null | false | '' | 0>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await look();
    if (value) return value as Exclude<T, undefined | null | false | '' | 0>;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

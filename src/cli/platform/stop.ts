/** Signals to a command that runs until it is told to stop. */

/** The first signal drains; a second one ends at once. */
export function stopRequested(): Promise<void> {
  const { promise, resolve: requested } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      requested();
    });
  }
  return promise;
}

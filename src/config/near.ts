/** "Did you mean …": the known name that a wrong one was most likely meant to be. */

/** Undefined when nothing is near: a wrong guess is worse than none. */
export function nearest(wrong: string, known: Iterable<string>): string | undefined {
  const lower = wrong.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wrong.length / 3)) + 1;
  for (const name of known) {
    const away = distanceToName(lower, name.toLowerCase());
    if (away >= bestDistance) continue;
    best = name;
    bestDistance = away;
  }
  return best;
}

/** A right name in the wrong section (`dnsMs`, `upstream.dnsMs` for `limits.upstream.dnsMs`) is as near as one typo. */
function distanceToName(wrong: string, name: string): number {
  const whole = editDistance(wrong, name);
  const lastOf = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  if (name.endsWith(`.${wrong}`)) return Math.min(whole, 1);
  return lastOf(wrong) === lastOf(name) ? Math.min(whole, 1.5) : whole;
}

/** Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

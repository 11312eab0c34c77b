/**
 * The linear-time engine for expressions that a project brings: matching takes time proportional to the text,
 * whatever the expression, because there is no backtracking (RE2's algorithm). Look-ahead, look-behind and
 * back-references do not exist there; a routes file that uses them is refused at build time.
 */
import { RE2JS } from 're2js';
import type { Pattern, PatternEngine } from './pattern.ts';

const FLAGS: Readonly<Record<string, number>> = {
  i: RE2JS.CASE_INSENSITIVE,
  m: RE2JS.MULTILINE,
  s: RE2JS.DOTALL,
};

export const linearEngine: PatternEngine = (source, flags): Pattern => {
  const bits = [...flags].reduce((sum, flag) => sum | (FLAGS[flag] ?? 0), 0);
  const compiled = RE2JS.compile(RE2JS.translateRegExp(source), bits);
  return {
    test: (text) => compiled.test(text),
    exec: (text) => compiled.exec(text) as (string | undefined)[] | null,
    replace(text, replacement) {
      const matcher = compiled.matcher(text);
      return flags.includes('g') ? matcher.replaceAll(replacement) : matcher.replaceFirst(replacement);
    },
  };
};

/** Why the engine cannot run an expression, as a sentence; null when it can. */
export function refusal(source: string, flags: string): string | null {
  try {
    linearEngine(source, flags);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

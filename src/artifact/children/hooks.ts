/**
 * Module resolution inside build children: `@layer0/core…`, `@edgio/core…` and `selvedge…` are our own modules,
 * whatever is installed; and a bundle that runs from a temporary place finds packages as if it lay in the project.
 */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { resolveModule } from '../modules.ts';

/** Files outside the project (absolute paths) that resolve their imports as if they were in `projectDir`. */
export function installHooks(projectDir: string, relocated: readonly string[] = []): void {
  const home = pathToFileURL(join(projectDir, '_.mjs')).href;
  const moved = new Set(relocated.map((file) => pathToFileURL(file).href));
  registerHooks({
    resolve(specifier, context, next) {
      const own = resolveModule(specifier);
      if (own !== undefined) return { url: pathToFileURL(own).href, shortCircuit: true };
      const fromBundle = context.parentURL !== undefined && moved.has(context.parentURL);
      const isRelative = specifier.startsWith('.') || specifier.startsWith('/');
      return next(specifier, fromBundle && !isRelative ? { ...context, parentURL: home } : context);
    },
  });
}

/**
 * What a recording gathers beside the routes: problems with their place, backends, files to stage; and the checks
 * that need the whole recording.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_BRANDING } from '../../status/branding.ts';
import type { BuildProblem, Recording, RecordOptions } from '../protocol.ts';
import type { Backend, Source } from '../table.ts';
import { templateNames } from '../template.ts';
import type { Declaration } from './declarations.ts';
import { readBackend } from './option-keys.ts';
import type { PatternCheck } from './read-criteria.ts';
import type { RecordingScope } from './recording-writer.ts';
import { isReservedHeader } from './reserved.ts';
import { callSite, type Site, sourceOf } from './sites.ts';
import type { BackendOptions } from './types.ts';

/** The platform's pattern compiler, which is not loaded in workers. */
export interface PatternCompiler {
  /** Parameter names of a path pattern. Throws `PathMatcherError`, or what the engine throws. */
  names(pattern: string): readonly string[];
  /** Why an expression cannot be run; null when it can. */
  refusal(source: string, flags: string): string | null;
}

type Staged = Recording['staticFiles'][number];
/** Where a message belongs when the call stack does not tell. */
export type Place = Pick<Declaration, 'site'>;

export class Ledger {
  readonly errors: BuildProblem[] = [];
  readonly warnings: BuildProblem[] = [];
  readonly backends: Record<string, Backend>;
  readonly staged = new Map<string, Staged>();
  readonly #options: RecordOptions;
  readonly #compiler: PatternCompiler;

  constructor(options: RecordOptions, compiler: PatternCompiler) {
    this.#options = options;
    this.#compiler = compiler;
    this.backends = { ...options.backends };
  }

  fail(site: Site | undefined, message: string, remedy?: string): void {
    this.errors.push(this.#problem(site, message, remedy));
  }

  warn(site: Site | undefined, message: string, remedy?: string): void {
    this.warnings.push(this.#problem(site, message, remedy));
  }

  scope(
    place: Place,
    { isCatch = false, names }: { isCatch?: boolean; names?: readonly string[] | null } = {},
  ): RecordingScope {
    const here = () => callSite() ?? place.site;
    const prefixes = this.#options.reservedHeaderPrefixes ?? DEFAULT_BRANDING.reservedHeaderPrefixes;
    const warn = (message: string, remedy?: string) => this.warn(here(), message, remedy);
    const error = (message: string, remedy?: string) => this.fail(here(), message, remedy);
    return {
      isCatch,
      warn,
      error,
      isReserved: (name, on) => isReservedHeader(name, on, prefixes),
      checkExpression: this.patternCheck(place).expression,
      useBackend: (name) => this.#useBackend(name, here()),
      addBackend: (options) => this.#addBackend(options, place),
      stage: (path, { mayBeMissing, ...options }) => {
        if (path === '')
          return error('serveStatic would publish the whole project', "name a directory: serveStatic('public/:path*')");
        if (!mayBeMissing && !this.#exists(path)) warn(`'${path}' does not exist in the project`);
        this.stage(path, options);
      },
      checkTemplate: (template, what) => {
        const missing = names ? templateNames(template).filter((name) => !names.includes(name)) : [];
        for (const name of missing)
          warn(`${what} takes ':${name}', which the route's criteria do not have; it will be empty`);
      },
    };
  }

  /** Parameters that a path template may take; null when they cannot be known. */
  namesOf(path: unknown, query: object | undefined): string[] | null {
    if (typeof path !== 'string') return null;
    try {
      const captured = Object.values(query ?? {}).flatMap((criterion) =>
        'capture' in criterion ? [criterion.capture] : [],
      );
      return [...this.#compiler.names(path), ...captured];
    } catch {
      return null;
    }
  }

  #useBackend(name: string, site: Site | undefined): void {
    if (Object.hasOwn(this.backends, name)) return;
    const known = Object.keys(this.backends).join(', ');
    const remedy = known ? `declared are ${known}` : 'declare it under backends in selvedge.config';
    this.fail(site, `the backend '${name}' is not declared`, remedy);
  }

  #addBackend(options: BackendOptions, place: Place): string | null {
    const read = readBackend('proxyHost', options, this.scope(place));
    if (!read) return null;
    const name = hostBackendName(read);
    this.backends[name] = read;
    return name;
  }

  #exists(path: string): boolean {
    const { projectDir, madeFiles = [] } = this.#options;
    return existsSync(join(projectDir, path)) || madeFiles.some((made) => made === path || made.startsWith(`${path}/`));
  }

  stage(path: string, { permanent, exclude }: { permanent: boolean; exclude: readonly string[] }): void {
    this.staged.set(`${path} ${permanent} ${exclude.join(' ')}`, { path, permanent, exclude: [...exclude] });
  }

  patternCheck(place: Place): PatternCheck {
    const refuse = (message: string, remedy = NO_LOOK_AROUND) => this.fail(callSite() ?? place.site, message, remedy);
    return {
      path: (pattern) => {
        try {
          this.#compiler.names(pattern);
        } catch (error) {
          const { message, remedy } = error as Error & { remedy?: string };
          if (remedy !== undefined) refuse(message, remedy);
          else refuse(`the path pattern '${pattern}' cannot be used: ${message}`);
        }
      },
      expression: (source, flags) => {
        const reason = this.#compiler.refusal(source, flags);
        if (reason !== null) refuse(`the expression /${source}/${flags} cannot be used: ${reason}`);
      },
    };
  }

  known({ site, group }: { site: Site | undefined; group?: string | undefined }): { source: Source; group?: string } {
    return { source: sourceOf(site, this.#options.projectDir), ...(group === undefined ? {} : { group }) };
  }

  #problem(site: Site | undefined, message: string, remedy: string | undefined): BuildProblem {
    const place = site && sourceOf(site, this.#options.projectDir);
    return { message, ...(remedy === undefined ? {} : { remedy }), ...place };
  }
}

const NO_LOOK_AROUND =
  'expressions run on a linear-time engine: write it without look-ahead, look-behind and back-references';

/** Stable, so that a worker finds the backend that the recording made. */
export const hostBackendName = ({ domainOrIp, port, scheme, basePath }: BackendOptions): string =>
  `host:${[scheme, domainOrIp, port, basePath].filter((part) => part !== undefined).join(':')}`;

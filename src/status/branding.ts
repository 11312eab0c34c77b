/**
 * The names that a visitor, a script or an upstream can see. They are configuration, chosen by the operator and
 * never guessed from a project's files, so that a site that moves here keeps its client code.
 * Source: spec page headers, section 1.
 */
export type Preset = 'selvedge' | 'layer0' | 'edgio-v5' | 'edgio';

export interface Branding {
  readonly preset: Preset;
  /** What pages and messages call the platform. */
  readonly productName: string;
  /** `{prefix}` of every header of our own, lower case, without the final hyphen. */
  readonly headerPrefix: string;
  /** `{cookie}`: start of cookie and query parameter names that we write. */
  readonly cookiePrefix: string;
  /** Cookie and parameter prefixes understood on input; the written one is always the first. */
  readonly acceptedCookiePrefixes: readonly string[];
  /** Header prefixes that neither clients nor upstreams may use: the written one, and the native one beside it. */
  readonly reservedHeaderPrefixes: readonly string[];
  /** Path under which the platform serves files of its own, with both slashes. */
  readonly builtInPath: string;
  /** Page that explains status codes; `#<code>` is appended. Empty: no link is shown. */
  readonly helpUrl: string;
}

type PresetRow = Pick<Branding, 'headerPrefix' | 'cookiePrefix' | 'builtInPath'> & {
  readonly alsoAccepts: readonly string[];
};

export const PRESETS = {
  selvedge: { headerPrefix: 'x-sv', cookiePrefix: 'selvedge', builtInPath: '/__selvedge__/', alsoAccepts: [] },
  layer0: { headerPrefix: 'x-0', cookiePrefix: 'layer0', builtInPath: '/__layer0__/', alsoAccepts: [] },
  // Recorded traffic of this generation still carries the older cookies, so both are read and the newer is written.
  'edgio-v5': { headerPrefix: 'x-0', cookiePrefix: 'edgio', builtInPath: '/__edgio__/', alsoAccepts: ['layer0'] },
  edgio: { headerPrefix: 'x-edg', cookiePrefix: 'edgio', builtInPath: '/__edgio__/', alsoAccepts: [] },
} as const satisfies Record<Preset, PresetRow>;

export const PRESET_NAMES = Object.keys(PRESETS) as readonly Preset[];

export type BrandingOverrides = Partial<
  Pick<Branding, 'productName' | 'headerPrefix' | 'cookiePrefix' | 'builtInPath' | 'helpUrl'>
>;

/** A preset with single names replaced. Undefined members leave the preset's own. */
export function brandingOf(preset: Preset = 'selvedge', overrides: BrandingOverrides = {}): Branding {
  const row: PresetRow = PRESETS[preset];
  const headerPrefix = overrides.headerPrefix ?? row.headerPrefix;
  const cookiePrefix = overrides.cookiePrefix ?? row.cookiePrefix;
  return Object.freeze({
    preset,
    productName: overrides.productName ?? 'Selvedge',
    headerPrefix,
    cookiePrefix,
    acceptedCookiePrefixes: [...new Set([cookiePrefix, ...row.alsoAccepts])],
    reservedHeaderPrefixes: [...new Set([headerPrefix, PRESETS.selvedge.headerPrefix])],
    builtInPath: overrides.builtInPath ?? row.builtInPath,
    helpUrl: overrides.helpUrl ?? '',
  });
}

export const DEFAULT_BRANDING: Branding = brandingOf();

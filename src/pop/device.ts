/**
 * What the platform knows of a user agent: device class, vendor, browser, bot. Detection is Bowser's; the bot list
 * is isbot's plus the substrings that projects were promised. Source: spec "Headers and telemetry", section 2.
 */
import Bowser from 'bowser';
import { isbot } from 'isbot';

export interface Device {
  readonly device: 'smartphone' | 'tablet' | 'mobile' | 'desktop';
  readonly vendor: 'apple' | 'android' | 'generic';
  readonly browser: 'chrome' | 'safari' | 'firefox' | 'opera' | 'edge' | 'msie' | 'generic';
  readonly isBot: boolean;
}

const PROMISED_BOTS = [
  'embedly',
  'facebookexternalhit',
  'flipboard',
  'googlepagesspeed',
  'google web/snippet',
  'headless',
  'ia_archiver',
  'outbrain',
  'pinterest',
  'prerender',
  'preview',
  'qwantify',
  'scanner',
  'slurp',
  'spider',
  'tumblr',
  'vkshare',
  'w3c_validator',
  'whatsapp',
  'xing-contenttabreceiver',
  'yahoo',
];

const BROWSERS: Readonly<Record<string, Device['browser']>> = {
  chrome: 'chrome',
  chromium: 'chrome',
  safari: 'safari',
  firefox: 'firefox',
  opera: 'opera',
  'microsoft edge': 'edge',
  'internet explorer': 'msie',
};

const DESKTOP: Device = { device: 'desktop', vendor: 'generic', browser: 'generic', isBot: false };
const REMEMBERED_AGENTS = 1_000;
const remembered = new Map<string, Device>();

/** Never throws; an absent or unknown agent is a generic desktop. Answers are remembered, bounded. */
export function detectDevice(userAgent: string | undefined): Device {
  if (!userAgent) return DESKTOP;
  const known = remembered.get(userAgent);
  if (known) return known;
  const detected = detect(userAgent);
  if (remembered.size >= REMEMBERED_AGENTS) remembered.clear();
  remembered.set(userAgent, detected);
  return detected;
}

function detect(userAgent: string): Device {
  const lower = userAgent.toLowerCase();
  const isBot = isbot(userAgent) || PROMISED_BOTS.some((part) => lower.includes(part));
  try {
    const parsed = Bowser.parse(userAgent.slice(0, 512));
    const os = parsed.os.name?.toLowerCase() ?? '';
    return {
      device: deviceClass(parsed.platform.type, os),
      vendor: os === 'ios' || os === 'macos' ? 'apple' : os === 'android' ? 'android' : 'generic',
      browser: BROWSERS[parsed.browser.name?.toLowerCase() ?? ''] ?? 'generic',
      isBot,
    };
  } catch {
    return { ...DESKTOP, isBot };
  }
}

/** `mobile` is the historical word for a feature phone. */
function deviceClass(platform: string | undefined, os: string): Device['device'] {
  if (platform === 'tablet') return 'tablet';
  if (platform !== 'mobile') return 'desktop';
  return ['ios', 'android', 'windows phone'].includes(os) ? 'smartphone' : 'mobile';
}

/** HTTP dates (RFC 9110 section 5.6.7): written as IMF-fixdate, read in all three forms that a recipient must accept. */
import { type Clock, systemClock } from '../base/clock.ts';

let writtenSecond = Number.NaN;
let written = '';

/** The date of now; formatted once a second. */
export function httpDate(clock: Clock = systemClock): string {
  const second = Math.floor(clock.nowMs() / 1_000);
  if (second !== writtenSecond) {
    writtenSecond = second;
    written = new Date(second * 1_000).toUTCString();
  }
  return written;
}

const TIME = '(?:[01]\\d|2[0-3]):[0-5]\\d:(?:[0-5]\\d|60)';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const IMF = new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d{2} ${MONTH} \\d{4} ${TIME} GMT$`, 'i');
const RFC_850 = new RegExp(
  `^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\\d{2})-(${MONTH})-(\\d{2}) (${TIME}) GMT$`,
  'i',
);
const ASCTIME = new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (${MONTH}) ( \\d|\\d{2}) (${TIME}) (\\d{4})$`, 'i');

/**
 * Milliseconds since the epoch; undefined for anything that is not an HTTP date. Upper and lower case are the same
 * here, as a cache is asked to read dates (RFC 9111 section 4.2).
 */
export function parseHttpDate(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (IMF.test(value)) return valid(Date.parse(value));
  const old = RFC_850.exec(value);
  if (old) return valid(Date.parse(`${old[1]} ${old[2]} ${fullYear(Number(old[3]))} ${old[4]} GMT`));
  const asctime = ASCTIME.exec(value);
  if (asctime) return valid(Date.parse(`${asctime[2]!.trim()} ${asctime[1]} ${asctime[4]} ${asctime[3]} GMT`));
  return undefined;
}

const valid = (time: number): number | undefined => (Number.isNaN(time) ? undefined : time);

/** A two-digit year that seems to be more than 50 years ahead is the latest past one (RFC 9110). */
function fullYear(twoDigits: number): number {
  const thisYear = new Date().getUTCFullYear();
  const year = Math.floor(thisYear / 100) * 100 + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

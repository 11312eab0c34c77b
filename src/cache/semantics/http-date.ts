/** HTTP dates (RFC 9110 section 5.6.7): the three forms that a recipient must understand and nothing else. */
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';
const FORMS = [
  new RegExp(`^${DAY}, (?<day>\\d\\d) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]+day, (?<day>\\d\\d)-(?<month>[A-Z][a-z]{2})-(?<year>\\d\\d) ${TIME} GMT$`),
  new RegExp(`^${DAY} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/** Milliseconds since the epoch, or undefined when the text is not a valid date. */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups;
    if (parts) return toEpochMs(parts as Record<DatePart, string>);
  }
  return undefined;
}

type DatePart = 'day' | 'month' | 'year' | 'hour' | 'minute' | 'second';

function toEpochMs(parts: Record<DatePart, string>): number | undefined {
  const [day, hour, minute, second] = [parts.day, parts.hour, parts.minute, parts.second].map(Number);
  const month = MONTHS.indexOf(parts.month);
  if (month < 0 || hour! > 23 || minute! > 59 || second! > 60) return undefined;
  const epochMs = Date.UTC(fullYear(parts.year), month, day, hour, minute, second);
  return new Date(epochMs).getUTCDate() === day || second === 60 ? epochMs : undefined;
}

/** Two digits (RFC 850) are read around the turn of the century, as every such date in use is meant. */
function fullYear(digits: string): number {
  if (digits.length === 4) return Number(digits);
  return Number(digits) + (Number(digits) < 70 ? 2000 : 1900);
}

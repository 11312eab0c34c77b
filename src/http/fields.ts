/**
 * Header fields of one message (RFC 9110 section 5): an ordered list of lines, names compared without case,
 * repeated lines kept as they came. Wraps Node's flat `rawHeaders` form, which is also what it gives back.
 */
export class Fields {
  /** Flat `[name, value, name, value…]`, spelling and order as received. */
  readonly raw: string[];

  constructor(raw: readonly string[] = []) {
    this.raw = [...raw];
  }

  static from(entries: Iterable<readonly [string, string | readonly string[]]>): Fields {
    const fields = new Fields();
    for (const [name, value] of entries) for (const line of [value].flat()) fields.append(name, line as string);
    return fields;
  }

  /** Number of lines. */
  get length(): number {
    return this.raw.length / 2;
  }

  has(name: string): boolean {
    return this.#find(name.toLowerCase(), 0) >= 0;
  }

  /** All lines of the name joined by `, ` (RFC 9110 section 5.2), or undefined. Not for Set-Cookie: use `all`. */
  get(name: string): string | undefined {
    const lower = name.toLowerCase();
    let at = this.#find(lower, 0);
    if (at < 0) return undefined;
    let value = this.raw[at + 1]!;
    const separator = lower === 'cookie' ? '; ' : ', ';
    for (at = this.#find(lower, at + 2); at >= 0; at = this.#find(lower, at + 2)) value += separator + this.raw[at + 1];
    return value;
  }

  all(name: string): string[] {
    const lower = name.toLowerCase();
    const values: string[] = [];
    for (let at = this.#find(lower, 0); at >= 0; at = this.#find(lower, at + 2)) values.push(this.raw[at + 1]!);
    return values;
  }

  /** The Cookie lines, for a reader who looks at nothing but the cookies of this name. */
  cookieLines(_name: string): string[] {
    return this.all('cookie');
  }

  /** The user agent, for a reader who looks at nothing but what the platform detects from it. */
  agent(): string | undefined {
    return this.get('user-agent');
  }

  /** Replaces every line of the name by one, at the place of the first. */
  set(name: string, value: string): this {
    const lower = name.toLowerCase();
    const at = this.#find(lower, 0);
    if (at < 0) return this.append(name, value);
    this.raw[at + 1] = value;
    this.#deleteFrom(lower, at + 2);
    return this;
  }

  append(name: string, value: string): this {
    this.raw.push(name, value);
    return this;
  }

  delete(name: string): this {
    this.#deleteFrom(name.toLowerCase(), 0);
    return this;
  }

  /** Removes every line whose lower-case name satisfies `test`. */
  deleteWhere(test: (lowerName: string, value: string) => boolean): this {
    const { raw } = this;
    let kept = 0;
    for (let at = 0; at < raw.length; at += 2) {
      if (test(raw[at]!.toLowerCase(), raw[at + 1]!)) continue;
      raw[kept] = raw[at]!;
      raw[kept + 1] = raw[at + 1]!;
      kept += 2;
    }
    raw.length = kept;
    return this;
  }

  *entries(): Generator<[name: string, value: string]> {
    for (let at = 0; at < this.raw.length; at += 2) yield [this.raw[at]!, this.raw[at + 1]!];
  }

  [Symbol.iterator](): Generator<[name: string, value: string]> {
    return this.entries();
  }

  clone(): Fields {
    return new Fields(this.raw);
  }

  /** Σ(name + value + 4) in bytes: how limits count a header section. */
  byteLength(): number {
    let bytes = 0;
    for (let at = 0; at < this.raw.length; at += 2) bytes += this.raw[at]!.length + this.raw[at + 1]!.length + 4;
    return bytes;
  }

  #find(lower: string, from: number): number {
    const { raw } = this;
    for (let at = from; at < raw.length; at += 2) {
      const name = raw[at]!;
      if (name.length === lower.length && (name === lower || name.toLowerCase() === lower)) return at;
    }
    return -1;
  }

  #deleteFrom(lower: string, from: number): void {
    for (let at = this.#find(lower, from); at >= 0; at = this.#find(lower, at)) this.raw.splice(at, 2);
  }
}

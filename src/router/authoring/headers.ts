/** Header lines inside a worker, with the methods that operations need. Flat, as `GuestMessage` carries them. */
export class HeaderList {
  readonly raw: string[];

  constructor(raw: readonly string[] = []) {
    this.raw = [...raw];
  }

  get(name: string): string | undefined {
    const values = this.all(name);
    return values.length === 0 ? undefined : values.join(name.toLowerCase() === 'cookie' ? '; ' : ', ');
  }

  all(name: string): string[] {
    const lower = name.toLowerCase();
    return this.raw.filter((_, at) => at % 2 === 1 && this.raw[at - 1]!.toLowerCase() === lower);
  }

  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  append(name: string, value: string): void {
    this.raw.push(name, value);
  }

  delete(name: string): void {
    const lower = name.toLowerCase();
    for (let at = this.raw.length - 2; at >= 0; at -= 2)
      if (this.raw[at]!.toLowerCase() === lower) this.raw.splice(at, 2);
  }

  replaceBy(raw: readonly string[]): void {
    this.raw.splice(0, this.raw.length, ...raw);
  }

  names(): string[] {
    return [...new Set(this.raw.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()))];
  }
}

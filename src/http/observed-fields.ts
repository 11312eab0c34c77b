/**
 * Fields that remember what was asked of them. A decision that is a function of them sees the same in any request that
 * agrees in what was asked, whatever else that request carries.
 */
import { Fields } from './fields.ts';

export class ObservedFields extends Fields {
  /** Of the observer: what it knew when the request came. */
  readonly generation: number;
  /** Lower-case names of fields that were looked at, absent ones included. */
  readonly names = new Set<string>();
  /** Names of cookies that were looked at. */
  readonly cookies = new Set<string>();
  /** What the platform detects from the user agent was looked at. */
  sawAgent = false;
  /** Somebody looked at everything, or changed something: nothing can be said of other requests. */
  sawAll = false;

  constructor(raw: readonly string[], generation: number) {
    super(raw);
    this.generation = generation;
  }

  override has(name: string): boolean {
    this.names.add(name.toLowerCase());
    return super.has(name);
  }

  override get(name: string): string | undefined {
    this.names.add(name.toLowerCase());
    return super.get(name);
  }

  override all(name: string): string[] {
    this.names.add(name.toLowerCase());
    return super.all(name);
  }

  override cookieLines(name: string): string[] {
    this.cookies.add(name);
    return super.all('cookie');
  }

  override agent(): string | undefined {
    this.sawAgent = true;
    return super.get('user-agent');
  }

  override set(name: string, value: string): this {
    this.sawAll = true;
    return super.set(name, value);
  }

  override append(name: string, value: string): this {
    this.sawAll = true;
    return super.append(name, value);
  }

  override delete(name: string): this {
    this.sawAll = true;
    return super.delete(name);
  }

  override deleteWhere(test: (lowerName: string, value: string) => boolean): this {
    this.sawAll = true;
    return super.deleteWhere(test);
  }

  override entries(): Generator<[name: string, value: string]> {
    this.sawAll = true;
    return super.entries();
  }

  override clone(): Fields {
    this.sawAll = true;
    return super.clone();
  }

  override byteLength(): number {
    this.sawAll = true;
    return super.byteLength();
  }
}

/**
 * An SQLite file as the control plane uses it: one process owns it, every commit is on the disk before it is
 * answered (`synchronous=FULL`), and the schema is brought up to date step by step when it is opened.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

export class Database {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Throws an `Error` with a sentence for people when the file is in use, newer than this program or damaged. */
  constructor(path: string, migrations: readonly string[]) {
    this.#database = new DatabaseSync(path, { timeout: 1_000 });
    try {
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      this.#database.exec('PRAGMA foreign_keys = ON;');
      this.#migrate(path, migrations);
    } catch (error) {
      this.#database.close();
      throw explained(path, error);
    }
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql)
      .all(...values)
      .map((row) => ({ ...row }) as Row);
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    const row = this.#statement(sql).get(...values);
    return row && ({ ...row } as Row);
  }

  /** Number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** All of `work` or, when it throws, nothing of it. */
  transaction<Result>(work: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk has ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #migrate(path: string, migrations: readonly string[]): void {
    this.transaction(() => {
      const { user_version: version } = this.get<{ user_version: number }>('PRAGMA user_version')!;
      if (version > migrations.length) {
        throw new Error(
          `${path} has schema ${version}, this version of Selvedge knows ${migrations.length}: start the newer one`,
        );
      }
      for (const step of migrations.slice(version)) this.#database.exec(step);
      this.#database.exec(`PRAGMA user_version = ${migrations.length}`);
    });
  }
}

function explained(path: string, error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error);
  if (/locked|busy/.test(message)) {
    return new Error(`${path} is in use by another control plane; stop it or choose another data directory`, {
      cause: error,
    });
  }
  if (/not a database|malformed/.test(message)) {
    return new Error(`${path} is damaged: ${message}`, { cause: error });
  }
  return error;
}

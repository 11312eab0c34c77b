/** One thing to find out: the same request to the platform and to its peer. */
export interface Question {
  readonly name: string;
  /** On both. */
  readonly path: string;
  /** Length of the right answer, checked before anything is measured. */
  readonly bytes: number;
  /** Kept open by the load generator. */
  readonly connections: number;
  /** What is compared with, for the table. */
  readonly peer: string;
}

/** Something that answers, and the Host that it wants. */
export interface Subject {
  readonly label: string;
  readonly port: number;
  readonly host: string;
}

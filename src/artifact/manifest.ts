/**
 * A deployment as an immutable value: the manifest that `build` writes, `deploy` sends and every POP reads.
 * All files are blobs named by the SHA-256 of their content (hex).
 */
import type { RouteTable } from '../router/table.ts';

export const MANIFEST_FORMAT = 1;

export interface BlobRef {
  /** Hex SHA-256 of the content: the blob's name in every store. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface Asset extends BlobRef {
  /** Media type with charset where it has one. */
  readonly type: string;
  /** Kept for ever under its name, also after later deployments (content-hashed names only). */
  readonly permanent?: boolean;
}

export interface BundleFile extends BlobRef {
  /** Relative to the worker's working directory. */
  readonly path: string;
  readonly executable?: boolean;
}

/** What runs in compute. */
export interface ServerBundle {
  readonly files: readonly BundleFile[];
  /** The bundled routes file (ES module), loaded by the guest; relative to the bundle. */
  readonly routes: string;
  /** The project's own HTTP server, if a connector staged one. */
  readonly app?:
    | { readonly kind: 'module'; readonly entry: string }
    | { readonly kind: 'command'; readonly command: string; readonly args: readonly string[] };
}

export interface DeploymentManifest {
  readonly format: typeof MANIFEST_FORMAT;
  /** Version of Selvedge that built it. */
  readonly builder: string;
  /** ISO time of the build; not part of what makes two builds equal. */
  readonly name: string;
  readonly routes: RouteTable;
  /** Project-relative path (`dist/app.js`) → content. */
  readonly assets: Readonly<Record<string, Asset>>;
  /** Null when no route needs a worker. */
  readonly server: ServerBundle | null;
  readonly warnings: readonly string[];
}

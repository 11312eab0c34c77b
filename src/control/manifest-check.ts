/**
 * Is this blob a manifest that POPs can serve from? Format, shape, presence and size of every blob it names, and
 * the deploy limits. All problems at once, each with its path in the manifest.
 */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type BlobRef, type DeploymentManifest, MANIFEST_FORMAT, type ServerBundle } from '../artifact/manifest.ts';
import { ROUTE_TABLE_FORMAT } from '../router/table.ts';
import { type BlobStore, isBlobName } from './blobs.ts';
import { type FieldProblem, invalidField, invalidFields, Problem } from './problem.ts';

/** The part of `Limits` that a deploy must keep. */
export type DeployLimits = Readonly<
  Record<'static.bodyBytes' | 'bundle.compressedBytes' | 'bundle.uncompressedBytes', number>
>;

const MANIFEST_MAX_BYTES = 64 * 1024 * 1024;
const SHOWN_PROBLEMS = 50;

type Json = Readonly<Record<string, unknown>>;

/** Throws a 422 `Problem` with all that is wrong. */
export async function readManifest(
  blobs: BlobStore,
  sha256: string,
  limits: DeployLimits,
): Promise<DeploymentManifest> {
  const manifest = await parse(blobs, sha256);
  const problems = shapeProblems(manifest);
  if (problems.length === 0) problems.push(...(await blobProblems(blobs, manifest as unknown as DeploymentManifest)));
  if (problems.length > 0) throw invalidFields(problems.slice(0, SHOWN_PROBLEMS));
  const checked = manifest as unknown as DeploymentManifest;
  await checkLimits(blobs, checked, limits);
  return checked;
}

async function parse(blobs: BlobStore, sha256: string): Promise<Json> {
  const bytes = await blobs.size(sha256);
  if (bytes === undefined) throw invalidField('manifest', `no blob ${sha256}: send it first`);
  if (bytes > MANIFEST_MAX_BYTES) {
    throw invalidField('manifest', `has ${bytes} bytes; at most ${MANIFEST_MAX_BYTES} are read`);
  }
  try {
    const value: unknown = JSON.parse(await readFile(blobs.path(sha256), 'utf8'));
    if (isObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw invalidField('manifest', `the blob ${sha256} is not a JSON object`);
}

function shapeProblems(manifest: Json): FieldProblem[] {
  if (manifest.format !== MANIFEST_FORMAT) {
    const detail = `is ${JSON.stringify(manifest.format)}; this control plane reads format ${MANIFEST_FORMAT}`;
    return [{ field: 'format', detail }];
  }
  const { routes, assets, server } = manifest;
  return [
    ...(typeof manifest.name === 'string' ? [] : [{ field: 'name', detail: 'must be a string' }]),
    ...(typeof manifest.builder === 'string' ? [] : [{ field: 'builder', detail: 'must be a string' }]),
    ...routeProblems(routes),
    ...(isObject(assets)
      ? Object.entries(assets).flatMap(([path, asset]) => assetProblems(`assets.${path}`, asset))
      : [{ field: 'assets', detail: 'must be an object of path → asset' }]),
    ...(server === null ? [] : serverProblems(server)),
  ];
}

function routeProblems(routes: unknown): FieldProblem[] {
  if (!isObject(routes)) return [{ field: 'routes', detail: 'must be a route table' }];
  if (routes.format !== ROUTE_TABLE_FORMAT) {
    const detail = `is ${JSON.stringify(routes.format)}; this control plane reads format ${ROUTE_TABLE_FORMAT}`;
    return [{ field: 'routes.format', detail }];
  }
  const listed = isObject(routes.main) && Array.isArray(routes.main.routes) && Array.isArray(routes.main.catches);
  return listed ? [] : [{ field: 'routes.main', detail: 'must have the lists routes and catches' }];
}

function assetProblems(field: string, asset: unknown): FieldProblem[] {
  const problems = refProblems(field, asset);
  if (isObject(asset) && typeof asset.type !== 'string') {
    problems.push({ field: `${field}.type`, detail: 'must be a media type' });
  }
  return problems;
}

function serverProblems(server: unknown): FieldProblem[] {
  if (!isObject(server) || !Array.isArray(server.files)) {
    return [{ field: 'server', detail: 'must be null or have the list files' }];
  }
  const problems = server.files.flatMap((file: unknown, at) => [
    ...refProblems(`server.files.${at}`, file),
    ...pathProblems(`server.files.${at}.path`, file),
  ]);
  const paths = new Set(server.files.map((file: unknown) => (isObject(file) ? file.path : undefined)));
  if (!paths.has(server.routes)) {
    problems.push({ field: 'server.routes', detail: 'must be the path of one of server.files' });
  }
  return problems;
}

/** Workers unpack these names into a folder of their own: none may lead out of it. */
function pathProblems(field: string, file: unknown): FieldProblem[] {
  const path = isObject(file) ? file.path : undefined;
  const inside =
    typeof path === 'string' &&
    !path.startsWith('/') &&
    !/[\\\0]/.test(path) &&
    path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
  return inside ? [] : [{ field, detail: `${JSON.stringify(path)} is no relative path inside the bundle` }];
}

function refProblems(field: string, ref: unknown): FieldProblem[] {
  if (!isObject(ref)) return [{ field, detail: 'must name a blob' }];
  const problems: FieldProblem[] = [];
  if (!isBlobName(ref.sha256)) problems.push({ field: `${field}.sha256`, detail: 'must be a hex SHA-256' });
  if (!Number.isSafeInteger(ref.bytes) || Number(ref.bytes) < 0) {
    problems.push({ field: `${field}.bytes`, detail: 'must be a number of bytes' });
  }
  return problems;
}

function* references(manifest: DeploymentManifest): Generator<readonly [field: string, ref: BlobRef]> {
  for (const [path, asset] of Object.entries(manifest.assets)) yield [`assets.${path}`, asset];
  for (const file of manifest.server?.files ?? []) yield [`server.files.${file.path}`, file];
}

async function blobProblems(blobs: BlobStore, manifest: DeploymentManifest): Promise<FieldProblem[]> {
  const problems: FieldProblem[] = [];
  for (const [field, { sha256, bytes }] of references(manifest)) {
    const actual = await blobs.size(sha256);
    if (actual === undefined) problems.push({ field, detail: `the blob ${sha256} is missing: send it first` });
    else if (actual !== bytes) problems.push({ field, detail: `says ${bytes} bytes, the blob has ${actual}` });
  }
  return problems;
}

async function checkLimits(blobs: BlobStore, manifest: DeploymentManifest, limits: DeployLimits): Promise<void> {
  for (const [path, { bytes }] of Object.entries(manifest.assets)) {
    if (bytes > limits['static.bodyBytes']) throw exceeded('static.bodyBytes', `the file ${path}`, bytes, limits);
  }
  const { server } = manifest;
  if (server === null) return;
  const uncompressed = server.files.reduce((sum, file) => sum + file.bytes, 0);
  if (uncompressed > limits['bundle.uncompressedBytes']) {
    throw exceeded('bundle.uncompressedBytes', 'the server bundle', uncompressed, limits);
  }
  // What is small as it is need not be compressed to know that.
  if (uncompressed <= limits['bundle.compressedBytes']) return;
  const compressed = await compressedBytes(blobs, server);
  if (compressed > limits['bundle.compressedBytes']) {
    throw exceeded('bundle.compressedBytes', 'the server bundle, compressed,', compressed, limits);
  }
}

function exceeded(limit: keyof DeployLimits, what: string, bytes: number, limits: DeployLimits): Problem {
  const detail = `${what} has ${bytes} bytes; the limit ${limit} is ${limits[limit]}`;
  return new Problem({ status: 422, reason: limit, detail, errors: [{ field: 'manifest', detail }] });
}

async function compressedBytes(blobs: BlobStore, server: ServerBundle): Promise<number> {
  let total = 0;
  for (const { sha256 } of server.files) {
    await pipeline(createReadStream(blobs.path(sha256)), createGzip(), async (zip: AsyncIterable<Buffer>) => {
      for await (const chunk of zip) total += chunk.length;
    });
  }
  return total;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

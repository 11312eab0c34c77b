/** Names of backends that the platform itself provides; `proxy` takes them like any other. */
export const BACKENDS = Object.freeze({
  /** The application's own server. */
  js: '__js__',
  app: '__js__',
  /** Static assets of the deployment. */
  static: '__static__',
  /** Static assets of all deployments. */
  permanentStatic: '__static_permanent__',
  imageOptimizer: '__image_optimizer__',
});

/** Ten years, in seconds. */
export const FAR_FUTURE_TTL = 60 * 60 * 24 * 365 * 10;

/** Param that carries the file of a `static` or `dir` route to its handler in a worker, where the files are absent. */
export const FILE_PARAM = '$file';

import type { Request } from './request.ts';
import type { Router } from './router.ts';

/** Base of a plugin: adds routes where `router.use(plugin)` stands. Implementing the two members is enough. */
export class PluginBase {
  type?: string;
  onRegister(_router: Router): unknown {
    return undefined;
  }
  /** Before the handler of each request that reaches a worker. */
  onRequest(_request: Request): unknown {
    return undefined;
  }
}

/** Plugin that generated routes files use; its routes are built into the platform. */
export const selvedgeRoutes = new PluginBase();

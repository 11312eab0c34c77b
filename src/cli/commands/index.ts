/** The table of commands, except those that run the platform itself. */
import type { CommandSpec } from '../command.ts';
import { CODES_COMMAND } from './codes.ts';
import { CONFIG } from './config.ts';
import { BUILD, DEPLOY } from './deploy.ts';
import { DEPLOYMENTS } from './deployments.ts';
import { DOMAINS } from './domains.ts';
import { ENV } from './env.ts';
import { INIT } from './init.ts';
import { LAB } from './lab.ts';
import { LIMITS_COMMANDS } from './limits.ts';
import { LOGS } from './logs.ts';
import { PURGE } from './purge.ts';
import { WHY } from './why.ts';

export const COMMANDS: readonly CommandSpec[] = [
  INIT,
  BUILD,
  DEPLOY,
  ...DEPLOYMENTS,
  ...DOMAINS,
  ...ENV,
  ...LIMITS_COMMANDS,
  PURGE,
  LOGS,
  WHY,
  CODES_COMMAND,
  LAB,
  CONFIG,
];

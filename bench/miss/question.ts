import type { Question } from '../lib/question.ts';

export const miss: Question = { name: 'miss', path: '/miss', bytes: 1024, connections: 32, peer: 'nginx proxy_pass' };

import type { Question } from '../lib/question.ts';

export const hit: Question = { name: 'hit', path: '/hit', bytes: 1024, connections: 32, peer: 'nginx proxy_cache' };

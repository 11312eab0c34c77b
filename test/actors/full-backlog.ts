export * from '../../src/lab/peers/full-backlog.ts';

export * from '../../src/lab/peers/origin.ts';

export * from '../../src/lab/peers/raw-client.ts';

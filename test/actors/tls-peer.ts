export * from '../../src/lab/peers/tls-peer.ts';

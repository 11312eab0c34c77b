export * from '../../src/lab/peers/dns-server.ts';

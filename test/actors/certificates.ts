export * from '../../src/lab/peers/certificates.ts';

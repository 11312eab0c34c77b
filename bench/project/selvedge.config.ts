// The project that the benchmarks deploy.
export default {
  name: 'bench',
  backends: {
    origin: { domainOrIp: '127.0.0.1', port: Number(process.env.BENCH_ORIGIN_PORT ?? 4180), scheme: 'http' },
  },
};

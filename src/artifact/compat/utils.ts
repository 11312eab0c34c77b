/** `core/utils`: what routes and connectors use, together. */
export * from '../../router/compat/utils.ts';
export { default as nonWebpackRequire } from './non-webpack-require.ts';

/** `core/utils/logo`: labels that connectors print before their lines. */
const logo = 'selvedge';
export const infoLogLabel = '[info]';
export const warnLogLabel = '[warn]';
export const errorLogLabel = '[error]';
export default logo;

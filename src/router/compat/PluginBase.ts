export { PluginBase, PluginBase as default } from '../authoring/plugin.ts';

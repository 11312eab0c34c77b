export { Timing, Timing as default } from '../authoring/timing.ts';

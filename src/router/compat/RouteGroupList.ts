export { RouteGroupList, RouteGroupList as default } from '../authoring/group.ts';

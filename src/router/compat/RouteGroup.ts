export { RouteGroup, RouteGroup as default, RouteGroupList } from '../authoring/group.ts';

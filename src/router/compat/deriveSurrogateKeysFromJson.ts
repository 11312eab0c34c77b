export { deriveSurrogateKeysFromJson, deriveSurrogateKeysFromJson as default } from '../authoring/surrogate-keys.ts';

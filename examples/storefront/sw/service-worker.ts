/** Keeps what the pages prefetch, and with each page of a cloth also its picture. */
import { DeepFetchPlugin, Prefetcher } from 'selvedge/prefetch/sw';

new Prefetcher({
  plugins: [new DeepFetchPlugin([{ selector: 'img.cloth-picture', attribute: 'src', as: 'image', maxMatches: 1 }])],
}).route();

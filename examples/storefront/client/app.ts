/** What the pages do in a browser. Without it everything works, only slower. */
import { install } from 'selvedge/prefetch/window/install';
import { forget } from 'selvedge/prefetch/window/prefetch';

// Links that come into view are prefetched, as far as the edge has them.
void install();

// What was prefetched shows prices in the currency of before.
document.addEventListener('click', (event) => {
  if (event.target instanceof Element && event.target.closest('[data-forget]')) void forget();
});

// What the looms are doing, live.
const ticker = document.querySelector('[data-ticker]');
if (ticker) {
  const events = new EventSource('/api/ticker');
  events.onmessage = ({ data }) => {
    ticker.textContent = (JSON.parse(data) as { text: string }).text;
  };
  window.addEventListener('pagehide', () => events.close());
}

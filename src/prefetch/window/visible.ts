/** Tells of each element that fits a selector when it comes into view, also of elements that come later. Once each. */
export interface Watch {
  readonly selector: string;
  readonly callback: (element: Element) => void;
}

export function watchVisible(watches: readonly Watch[], attributes: readonly string[] = ['href']): () => void {
  const seen = new WeakMap<Element, Set<Watch>>();
  const inView = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) tell(target);
  });

  function tell(element: Element): void {
    inView.unobserve(element);
    const told = seen.get(element) ?? new Set();
    seen.set(element, told);
    for (const watch of watches) {
      if (told.has(watch) || !element.matches(watch.selector)) continue;
      told.add(watch);
      watch.callback(element);
    }
  }

  const all = watches.map(({ selector }) => selector).join(',');
  function look(root: ParentNode & Node): void {
    if (root instanceof Element && root.matches(all)) inView.observe(root);
    for (const element of root.querySelectorAll(all)) inView.observe(element);
  }

  const changes = new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      // Another address in the same element is another link.
      if (type === 'attributes' && target instanceof Element) seen.delete(target);
      for (const node of type === 'attributes' ? [target] : addedNodes) if (node instanceof Element) look(node);
    }
  });
  if (all !== '') look(document);
  if (all !== '') changes.observe(document, { childList: true, subtree: true, attributeFilter: [...attributes] });
  return () => {
    inView.disconnect();
    changes.disconnect();
  };
}

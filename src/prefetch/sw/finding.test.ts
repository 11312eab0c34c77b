import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { queryJson } from './json-query.ts';
import { findElements } from './selector.ts';

const PAGE = `<!doctype html><!-- <img src="/comment.png"> -->
<script>const text = '<img src="/script.png">';</script>
<main id=top><ul class="goods list"><li><img src="/1.png" class=lead><a href='/a?x=1&amp;y=2'>A</a></li>
<li><div><img src="/2.png" alt="a > b"/></div></li></ul></main><img data-x src=/3.png>`;
const sources = (selector: string): (string | undefined)[] =>
  findElements(PAGE, selector).map((attributes) => attributes.get('src') ?? attributes.get('href'));

describe('elements of a page without a DOM', () => {
  test('by tag, class, id and attribute, in comments and scripts never', () => {
    assert.deepEqual(sources('img'), ['/1.png', '/2.png', '/3.png']);
    assert.deepEqual(sources('img.lead'), ['/1.png']);
    assert.deepEqual(sources('[data-x]'), ['/3.png']);
    assert.deepEqual(sources('a[href^="/a"]'), ['/a?x=1&y=2']);
    assert.deepEqual(sources('img[src$="2.png"], a'), ['/a?x=1&y=2', '/2.png']);
  });

  test('below others', () => {
    assert.deepEqual(sources('#top .goods img'), ['/1.png', '/2.png']);
    assert.deepEqual(sources('li > img'), ['/1.png']);
    assert.deepEqual(sources('.list li>div img'), ['/2.png']);
    assert.deepEqual(sources('main > img'), []);
  });

  test('a selector that is not understood is told', () => {
    for (const selector of ['img:first-child', 'a + b', '', 'a >'])
      assert.throws(() => findElements('', selector), SyntaxError);
  });
});

describe('values of JSON', () => {
  const data = {
    products: [
      { image: '/1.png', more: ['/a.png', '/b.png'] },
      { image: '/2.png', price: 7 },
    ],
  };

  test('by names, places and all of a list', () => {
    assert.deepEqual(queryJson(data, 'products.image'), ['/1.png', '/2.png']);
    assert.deepEqual(queryJson(data, 'products[*].image'), ['/1.png', '/2.png']);
    assert.deepEqual(queryJson(data, 'products[1].image'), ['/2.png']);
    assert.deepEqual(queryJson(data, 'products.more'), ['/a.png', '/b.png']);
    assert.deepEqual(queryJson(data, 'products.price'), []);
    assert.deepEqual(queryJson(null, 'a.b'), []);
  });

  test('through a function', () => {
    const locals = { small: (value: unknown) => `${String(value)}?w=200` };
    assert.deepEqual(queryJson(data, 'products.image:small', { locals }), ['/1.png?w=200', '/2.png?w=200']);
    assert.throws(() => queryJson(data, 'products:large', { locals }), /no function 'large'/);
    assert.throws(() => queryJson(data, 'products[price>5]'), SyntaxError);
  });
});

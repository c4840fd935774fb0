/**
 * A file name for a topic, without an ending. What is no safe file name is written as %XX, so that no topic leaves its folder
 * or meets another's file.
 */
export function topicFileName(topic: string): string {
  return topic.replaceAll(/[^a-zA-Z0-9._-]/g, (char) => encodeURIComponent(char).replaceAll("*", "%2A"));
}
